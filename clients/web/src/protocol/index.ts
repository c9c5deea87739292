/** The room protocol for browsers: everything a view needs, and nothing of Vue. */
export { prepareDevice, rememberCapabilities, type PreparedDevice } from './device'
export { RoomError, type Sentences } from './errors'
export { listDevices, openMedia, openScreen, watchLevel, type DeviceChoice, type LocalMedia, type MediaWishes } from './media'
export { verdict, type Cause, type ConsumerStats, type Grade, type Reading, type Verdict } from './quality'
export { RoomClient, type EndReason, type LocalTrack, type Mark, type RoomSnapshot } from './RoomClient'
export type { RemoteTrack } from './MediaSession'
export type { ChatMessage, Grants, PeerInfo, Role, RoomCredentials, Source } from './wire'

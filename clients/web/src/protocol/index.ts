/** The room protocol for browsers: everything a view needs, and nothing of Vue. */
export { prepareDevice, rememberCapabilities, type PreparedDevice } from './device'
export { lineBroke, RoomError, type Sentences } from './errors'
export { listDevices, openMedia, openScreen, watchLevel, type DeviceChoice, type LocalMedia, type MediaWishes } from './media'
export { verdict, type Cause, type ConsumerStats, type Grade, type Reading, type Verdict } from './quality'
export { RoomClient } from './RoomClient'
export type { EndReason, LocalTrack, Mark, Reduction, RoomSnapshot } from './told'
export type { RemoteTrack } from './MediaSession'
export type { ChatMessage, Grants, PeerInfo, PeerQuality, Role, RoomCredentials, Share, Source } from './wire'

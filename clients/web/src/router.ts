import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { useSession } from './stores/session'

const missing = () => import('./shell/MissingPage.vue')

const routes: RouteRecordRaw[] = [
  { path: '/login', component: () => import('./login/LoginPage.vue'), meta: { open: true, bare: true, title: 'login' } },
  { path: '/', component: () => import('./home/HomePage.vue'), meta: { title: 'home' } },
  { path: '/request', component: () => import('./request/RequestPage.vue'), meta: { title: 'request' } },
  { path: '/c/:id', component: () => import('./consultation/ConsultationPage.vue'), props: true, meta: { title: 'consultation' } },
  { path: '/room/:id', component: () => import('./room/RoomPage.vue'), props: true, meta: { bare: true, title: 'room' } },
  { path: '/g/:secret', component: () => import('./room/GuestPage.vue'), props: true, meta: { open: true, bare: true, title: 'room' } },
  { path: '/record/:id', component: () => import('./record/RecordPage.vue'), props: true, meta: { title: 'record' } },
  { path: '/rota', component: () => import('./rota/RotaPage.vue'), meta: { title: 'rota' } },
  { path: '/people', component: () => import('./people/PeoplePage.vue'), meta: { title: 'people' } },
  { path: '/reach', component: () => import('./reach/ReachPage.vue'), meta: { title: 'reach' } },
  { path: '/desk', component: () => import('./desk/DeskPage.vue'), meta: { title: 'desk' } },
  { path: '/oversight', component: () => import('./oversight/OversightPage.vue'), meta: { title: 'oversight' } },
  { path: '/audit', component: () => import('./audit/AuditPage.vue'), meta: { title: 'audit' } },
  { path: '/verify/:code?', component: () => import('./verify/VerifyPage.vue'), props: true, meta: { open: true, bare: true, title: 'verify' } },
  { path: '/network', component: () => import('./connectivity/ConnectivityPage.vue'), meta: { open: true, bare: true, title: 'network' } },
  { path: '/:rest(.*)*', component: missing, meta: { title: 'missing' } },
]

/** `meta.open`: no account needed. `meta.bare`: without the top bar. `meta.title`: name of a text below `shell`. */
export function makeRouter() {
  const router = createRouter({ history: createWebHistory(), routes })
  router.beforeEach(async (to) => {
    if (to.meta.open || await useSession().ensure()) return true
    return { path: '/login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  })
  return router
}

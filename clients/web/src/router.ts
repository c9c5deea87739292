import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { useSession } from './stores/session'

// The room and the record are built beside this file's other pages; a glob keeps the build whole without them.
const rooms = import.meta.glob('./{room,record}/*Page.vue')
const missing = () => import('./shell/MissingPage.vue')

const routes: RouteRecordRaw[] = [
  { path: '/login', component: () => import('./login/LoginPage.vue'), meta: { open: true, bare: true } },
  { path: '/', component: () => import('./home/HomePage.vue') },
  { path: '/request', component: () => import('./request/RequestPage.vue') },
  { path: '/c/:id', component: () => import('./consultation/ConsultationPage.vue'), props: true },
  { path: '/room/:id', component: rooms['./room/RoomPage.vue'] ?? missing, props: true, meta: { bare: true } },
  { path: '/g/:secret', component: rooms['./room/GuestPage.vue'] ?? missing, props: true, meta: { open: true, bare: true } },
  { path: '/record/:id', component: rooms['./record/RecordPage.vue'] ?? missing, props: true },
  { path: '/rota', component: () => import('./rota/RotaPage.vue') },
  { path: '/desk', component: () => import('./desk/DeskPage.vue') },
  { path: '/audit', component: () => import('./audit/AuditPage.vue') },
  { path: '/:rest(.*)*', component: missing },
]

/** `meta.open`: no account needed. `meta.bare`: without the top bar. */
export function makeRouter() {
  const router = createRouter({ history: createWebHistory(), routes })
  router.beforeEach(async (to) => {
    if (to.meta.open || await useSession().ensure()) return true
    return { path: '/login', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  })
  return router
}

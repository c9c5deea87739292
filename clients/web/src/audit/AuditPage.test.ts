import { flushPromises } from '@vue/test-utils'
import axe from 'axe-core'
import { beforeEach, expect, it, vi } from 'vitest'
import { fakeServer, mountPage } from '@/testing/mount'
import AuditPage from './AuditPage.vue'

const entry = (id: number, what: string, action: string) => ({
  id, at: '2026-01-01T00:00:00Z', actor: { id: 'prc-1', kind: 'practitioner', name: '王建国', nameEn: 'Wang Jianguo' }, what, action, subjectType: 'operation', subjectId: 'patients', detail: {}, hash: 'x',
})
const page = (...items: object[]) => ({ body: { items, nextCursor: null } })

beforeEach(() => { document.body.innerHTML = '' })

it('finds what was refused, marks it, and lets an overseer take it away', async () => {
  fakeServer({ 'GET /audit': page(entry(2, 'refused', 'access.refused'), entry(1, 'sign_in', 'auth.login')), 'GET /audit?what=refused': page(entry(2, 'refused', 'access.refused')), 'GET /audit?who=nobody&what=refused': page() })
  const { wrapper } = await mountPage(AuditPage, {}, '/audit', ['regulator'])
  const rows = () => wrapper.findAll('[data-testid=audit-row]').map((row) => row.text())
  expect(rows()[0]).toContain('⊘ 访问被拒绝')
  await wrapper.get('[data-testid=audit-what]').setValue('refused')
  await vi.waitFor(() => expect(rows().length).toBe(1))
  expect(wrapper.find('[data-testid=audit-csv]').exists()).toBe(true)
  expect((await axe.run(wrapper.element)).violations).toEqual([])
  await wrapper.get('[data-testid=audit-who]').setValue('nobody')
  await vi.waitFor(() => expect(wrapper.text()).toContain('没有符合筛选的记录'))
})

it('says a gap in words, and names people instead of their ids', async () => {
  const detail = { level: 1, starts: 1_767_225_600, ends: 1_767_312_000, why: 'away', nobody: true, people: ['prc-1'], event: 'rev-1', reason_given: false }
  fakeServer({ 'GET /audit': page({ ...entry(1, 'change', 'rota.gap'), subjectType: 'rota', subjectId: 'ntc-1', detail, names: { 'prc-1': { zh: '王建国', en: 'Wang Jianguo' } } }) })
  const { wrapper } = await mountPage(AuditPage, {}, '/audit', ['regulator'])
  const told = wrapper.get('[data-testid=audit-row]').findAll('td')[4]?.text() ?? ''
  for (const words of ['值班线: 1', '从: 2026', '原因: 请假或已移除', '完全无人: 是', '人员: 王建国']) expect(told).toContain(words)
  expect(told).not.toMatch(/[a-z]{4,}: /)
})

it('says which list somebody looked at, narrowed how, and whose account signed in', async () => {
  const detail = { county: 'org-1', specialty: 'cardiology', kind: 'urgent', late: true, consults: 7 }
  const names = { 'org-1': { zh: '云岭县人民医院', en: 'Yunling' }, 'acc-regulator': { zh: '赵敏', en: 'Zhao Min' } }
  fakeServer({
    'GET /audit': page({ ...entry(2, 'view', 'oversight.view'), subjectType: 'oversight', subjectId: 'desk', detail, names }, { ...entry(1, 'sign_in', 'auth.login'), subjectType: 'account', subjectId: 'acc-regulator', names }),
    'GET /specialties': { body: [{ code: 'cardiology', name: { zh: '心血管内科', en: 'Cardiology' } }] },
  })
  const { wrapper } = await mountPage(AuditPage, {}, '/audit', ['regulator'])
  await flushPromises()
  const [look, login] = wrapper.findAll('[data-testid=audit-row]').map((row) => row.text())
  for (const words of ['查看会诊列表', '值班台：待处理的会诊', '范围: 云岭县人民医院', '专科: 心血管内科', '类别: 急会诊', '仅超时: 是', '会诊数: 7']) expect(look).toContain(words)
  expect(login).toContain('赵敏')
})

it('shows others the trail of a consult of theirs alone', async () => {
  const asked = fakeServer({ 'GET /audit?consultationId=con-1': page(entry(1, 'view', 'consultation.view')) })
  const { wrapper, router } = await mountPage(AuditPage, {}, '/audit', ['expert'])
  expect(wrapper.text()).toContain('只能查看与自己有关的会诊')
  await router.push('/audit?consultation=con-1')
  await vi.waitFor(() => expect(wrapper.findAll('[data-testid=audit-row]').length).toBe(1))
  await flushPromises()
  expect(wrapper.text()).not.toContain('查看全部')
  expect([wrapper.find('[data-testid=audit-csv]').exists(), asked.length]).toEqual([false, 1])
})

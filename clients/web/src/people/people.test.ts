import { flushPromises } from '@vue/test-utils'
import axe from 'axe-core'
import { beforeEach, describe, expect, it } from 'vitest'
import { effectScope, ref } from 'vue'
import { hospital } from '@/testing/fixtures'
import { fakeServer, mountPage } from '@/testing/mount'
import ImportPanel from './ImportPanel.vue'
import PersonForm from './PersonForm.vue'
import PersonList from './PersonList.vue'
import { addPeopleTexts } from './texts'
import { useList } from './useList'
import en from './words/en.json'
import zh from './words/zh.json'

const person = {
  id: 'prc-1', name: '王建国', nameEn: 'Wang Jianguo', title: '主任医师', titleEn: 'Chief physician', organization: hospital, roles: ['expert'], specialties: ['cardiology'],
  languages: ['zh'], registration: null, phone: null, active: true, closedOn: null, version: 3, editable: true, account: { username: 'cardio1', disabled: false, temporaryUntil: null },
}
const LIST = 'GET /register/practitioners?state=active'

describe('maintaining people', () => {
  beforeEach(() => {
    document.body.innerHTML = ''
    HTMLDialogElement.prototype.showModal = function showModal() { this.open = true }
    addPeopleTexts()
  })

  it('shows a temporary password once', async () => {
    fakeServer({ [LIST]: { body: { items: [person], nextCursor: null } }, 'POST /register/practitioners/prc-1/password': { body: { username: 'cardio1', password: 'k7mq-9wfe-x3td', until: '2026-01-08T00:00:00Z' } } })
    const { wrapper } = await mountPage(PersonList)
    expect(wrapper.get('[data-testid=person-row]').text()).toContain('王建国 主任医师')
    await wrapper.get('[data-testid=person-reset]').trigger('click')
    await flushPromises()
    expect(wrapper.get('[data-testid=secret]').text()).toBe('k7mq-9wfe-x3td')
    await wrapper.get('[data-testid=secret-close]').trigger('click')
    expect(wrapper.find('[data-testid=secret]').exists()).toBe(false)
  })

  it('says what to do when nobody matches, and what went wrong', async () => {
    fakeServer({ [LIST]: { body: { items: [], nextCursor: null } } })
    expect((await mountPage(PersonList)).wrapper.text()).toContain(zh.nobody)
    fakeServer({ [LIST]: { status: 503, body: { code: 'busy', message: { zh: '服务器繁忙', en: 'busy' } } } })
    expect((await mountPage(PersonList)).wrapper.get('[data-testid=error]').text()).toContain('服务器繁忙')
  })

  it('does not send an expert without a specialty', async () => {
    const asked = fakeServer({ 'GET /register/organizations?limit=100': { body: { items: [hospital], nextCursor: null } } })
    const { wrapper } = await mountPage(PersonForm, { person: { ...person, specialties: [] } })
    await wrapper.get('form').trigger('submit')
    expect(wrapper.text()).toContain(zh.specialtyMissing)
    expect(asked.map((one) => one.call)).toEqual(['GET /register/organizations?limit=100'])
  })

  it('has no accessibility fault that axe can find', async () => {
    fakeServer({ [LIST]: { body: { items: [person], nextCursor: null } } })
    const { wrapper } = await mountPage(PersonList)
    const found = await axe.run(wrapper.element, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } })
    expect(found.violations.map((one) => one.id)).toEqual([])
  })
})

describe('a list', () => {
  const deferred = () => {
    const answers: ((items: object[]) => void)[] = []
    globalThis.fetch = (() => new Promise((answer) => {
      answers.push((items) => answer(new Response(JSON.stringify({ items, nextCursor: null }))))
    })) as typeof fetch
    return answers
  }

  it('keeps a saved row when an answer from before the change comes late', async () => {
    const answers = deferred()
    const scope = effectScope()
    const list = scope.run(() => useList<{ id: string }>('/register/practitioners', ref({})))!
    list.put({ id: 'new' })
    answers[0]!([{ id: 'old' }])
    await flushPromises()
    expect(list.items.value).toEqual([{ id: 'new' }])
    answers[1]!([{ id: 'old' }, { id: 'new' }])
    await flushPromises()
    expect([list.items.value, list.busy.value]).toEqual([[{ id: 'old' }, { id: 'new' }], false])
    list.put({ id: 'newer' })
    expect(answers).toHaveLength(2)
    scope.stop()
  })
})

describe('importing', () => {
  const bad = { lines: 3, new: 2, changed: 0, same: 0, bad: 1, written: false, problems: [{ line: 4, column: '机构代码', code: 'no_organization', message: { zh: '没有此代码的在用机构。', en: 'None' }, value: 'X' }] }

  const opened = async (report: object) => {
    addPeopleTexts()
    const asked: string[] = []
    globalThis.fetch = ((url: string) => {
      asked.push(String(url))
      return Promise.resolve(new Response(JSON.stringify(report)))
    }) as typeof fetch
    const { wrapper } = await mountPage(ImportPanel)
    const input = wrapper.get('[data-testid=import-file]')
    Object.defineProperty(input.element, 'files', { value: [new File(['x'], 'people.csv')] })
    await input.trigger('change')
    await flushPromises()
    return { wrapper, asked }
  }

  it('checks first, lists every bad line, and writes nothing by itself', async () => {
    const { wrapper, asked } = await opened(bad)
    expect(asked).toEqual(['/api/v1/register/import?kind=practitioners&mode=check'])
    const row = wrapper.get('[data-testid=bad-line]').text()
    for (const words of ['4', '机构代码', '没有此代码', 'X']) expect(row).toContain(words)
    expect(wrapper.find('[data-testid=import-write]').exists()).toBe(false)
    await wrapper.get('[data-testid=import-good]').trigger('click')
    expect(asked.at(-1)).toContain('mode=good')
  })

  it('takes the same file again once it was mended', async () => {
    const { wrapper } = await opened(bad)
    const input = wrapper.get('[data-testid=import-file]')
    Object.defineProperty(input.element, 'value', { value: 'C:\\fakepath\\people.csv', writable: true })
    await input.trigger('click')
    expect((input.element as HTMLInputElement).value).toBe('')
  })

  it('offers to write when all is good', async () => {
    const { wrapper, asked } = await opened({ ...bad, bad: 0, problems: [] })
    await wrapper.get('[data-testid=import-write]').trigger('click')
    expect(asked.at(-1)).toContain('mode=all')
  })
})

it('has the same texts in both languages', () => {
  const keys = (texts: object): string[] => Object.entries(texts).flatMap(([key, value]) => (typeof value === 'object' ? keys(value as object).map((below) => `${key}.${below}`) : [key]))
  expect(keys(en)).toEqual(keys(zh))
})

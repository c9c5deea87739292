import { expect, it } from 'vitest'
import type { OnCall } from '@/api/types'
import { doctor, expert } from '@/testing/fixtures'
import { dutiesOf } from './duties'

const entry = (specialty: string, ...practitioners: OnCall['practitioners']): OnCall => ({ schedule: 's', specialty, practitioners, until: null })

it('says who stands behind the one rung first', () => {
  expect(dutiesOf([entry('cardiology', expert, doctor)], expert.id)).toMatchObject([{ specialty: 'cardiology', place: 0, before: null, behind: doctor }])
})

it('says before whom a backup is rung, and puts first places first', () => {
  const duties = dutiesOf([entry('a', doctor, expert), entry('b', expert)], expert.id)
  expect(duties.map((duty) => [duty.specialty, duty.place, duty.before?.id ?? null])).toEqual([['b', 0, null], ['a', 1, doctor.id]])
})

it('finds nothing for somebody who is not on call', () => expect(dutiesOf([entry('a', doctor)], expert.id)).toEqual([]))

import type { OrganizationRef } from '@/api/types'

/** The JSON of `/api/v1/register`. */
export const LEVELS = ['village', 'township', 'county', 'city', 'province', 'national'] as const
export const ROLES = ['village_doctor', 'township_doctor', 'expert', 'desk', 'regulator', 'admin'] as const
export type Standing = 'active' | 'closed' | 'all'

export interface Place {
  id: string; name: string; nameEn: string; level: string; parent: OrganizationRef | null; code: string | null; address: string
  active: boolean; closedOn: string | null; version: number; editable: boolean
}

export interface Alliance { id: string; name: string; nameEn: string; active: boolean; closedOn: string | null; version: number; organizations: OrganizationRef[] }

export interface Account { username: string; disabled: boolean; temporaryUntil: string | null }

export interface Person {
  id: string; name: string; nameEn: string; title: string; titleEn: string; organization: OrganizationRef
  roles: string[]; specialties: string[]; languages: string[]; registration: string | null; phone: string | null
  active: boolean; closedOn: string | null; version: number; editable: boolean; account: Account | null
}

export interface Site { id: string; organizationId: string; name: string; nameEn: string; active: boolean; version: number }

export interface Machine {
  id: string; kind: 'ecg' | 'ultrasound'; name: string; nameEn: string; organization: OrganizationRef; site: Site | null; serial: string
  active: boolean; online: boolean; version: number; editable: boolean
}

export interface BadLine { line: number; column: string; code: string; message: { zh: string; en: string }; value: string }
export interface Report { lines: number; new: number; changed: number; same: number; bad: number; problems: BadLine[]; written: boolean }

/** Something that is told once: a temporary password or a device's token. */
export interface Secret { title: string; who: string; text: string; hint: string }

export interface Undelivered {
  id: string; person: { id: string; name: string; nameEn: string } | null; way: 'screen' | 'push' | 'webhook'; target: string; kind: string
  state: string; status: number | null; tries: number; madeAt: string
}

/** What is judged, as far as a case must know. */
import type { Profile } from './profiles.ts'
import type { Version } from './versions.ts'

export interface Subject {
  readonly dir: string
  readonly profile: Profile
  /** Of random cases. */
  readonly seed: number
  /** How often repetitive cases repeat, as a fraction of the full number. */
  readonly effort: number
  /** Plugins are called in no newer version than this. */
  readonly bound?: Version
}

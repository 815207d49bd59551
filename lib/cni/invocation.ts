import type { Json } from '../config/json.ts'
import type { Environment } from './env.ts'
import type { Io } from './io.ts'
import type { PluginMaker } from './plugin.ts'

/** What a runtime handed over, read and judged. */
export interface Invocation {
  readonly environment: Environment
  readonly network: string
  readonly cniVersion: string
  /** The configuration as it came, for delegates. */
  readonly text: string
  readonly config: Json
  readonly builtins: readonly PluginMaker[]
  readonly io: Io
  /** Whether another plugin of this process makes the call. */
  readonly delegated: boolean
}

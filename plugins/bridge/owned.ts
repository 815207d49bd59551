/** The journal entry of an attachment. */

import { hostEndName } from '../../lib/attach/veth-port.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, jsonBoolean, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { BridgeConfig } from './config.ts'

/** What ADD is about to make, for DEL, for GC and for a person who finds it. */
export function attachmentEntry(request: Request, config: BridgeConfig): Json {
  return jsonObject([
    ['plugin', jsonString('bridge')],
    ['bridge', jsonString(config.bridge)],
    ['hostEnd', jsonString(hostEndName(request))],
    ['netns', jsonString(request.netns)],
    ['macspoofchk', jsonBoolean(config.spoofCheck)]
  ])
}

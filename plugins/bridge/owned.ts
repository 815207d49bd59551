/** The journal entry of an attachment. */

import { hostEndName } from '../../lib/attach/veth-port.ts'
import type { Request } from '../../lib/cni/plugin.ts'
import { type Json, jsonObject, jsonString } from '../../lib/config/json.ts'
import type { BridgeConfig } from './config.ts'

/** What ADD is about to make, for a person who finds it; GC needs no more than its name. */
export function attachmentEntry(request: Request, config: BridgeConfig): Json {
  return jsonObject([
    ['plugin', jsonString('bridge')],
    ['bridge', jsonString(config.bridge)],
    ['hostEnd', jsonString(hostEndName(request))],
    ['netns', jsonString(request.netns)]
  ])
}

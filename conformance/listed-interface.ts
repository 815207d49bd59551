/** Where an interface that a result lists is to be looked for. */
import { statSync } from 'node:fs'
import type { Attachment } from './case.ts'
import type { JsonObject } from './json.ts'
import type { World } from './world.ts'

/** host: it has no sandbox. container: by whatever path. elsewhere: in a sandbox that is not the attachment's. */
export type Place = 'host' | 'container' | 'elsewhere'

/** A namespace may have several paths; which one a result has to name is for `result.sandbox` to say. */
export function placeOf(entry: JsonObject, attachment: Attachment): Place {
  const sandbox = entry['sandbox']
  if (sandbox === undefined || sandbox === '') return 'host'
  if (sandbox === attachment.netns.path) return 'container'
  return typeof sandbox === 'string' && isSameFile(sandbox, attachment.netns.path) ? 'container' : 'elsewhere'
}

function isSameFile(a: string, b: string): boolean {
  try {
    const [one, other] = [statSync(a), statSync(b)]
    return one.dev === other.dev && one.ino === other.ino
  } catch {
    return false
  }
}

/** The link that the entry means, as `ip` shows it; undefined when there is none. */
export function linkOf(world: World, entry: JsonObject, attachment: Attachment): JsonObject | undefined {
  const place = placeOf(entry, attachment)
  if (place === 'elsewhere') return undefined
  const look = () => world.link(String(entry['name']))
  return place === 'container' ? attachment.netns.inside(look) : look()
}

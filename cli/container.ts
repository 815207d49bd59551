/** Containers as a person names them: a namespace's path, its name under /run/netns, or the id of a process in it. */
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { isName } from '../lib/cni/env.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { CommandError } from './output.ts'

export interface Container {
  /** The namespace's path. */
  readonly netns: string
  /** The id to attach it under when none is given. */
  readonly containerId: string
}

const WHAT_TO_NAME = 'name a namespace by its path, by its name (see: ip netns), or by the id of a process in it'

/** @throws CommandError when the word names nothing */
export function containerOf(word: string): Container {
  if (/^[0-9]+$/.test(word)) {
    const netns = `/proc/${word}/ns/net`
    const fault = faultOf(netns)
    if (fault === undefined) return { netns, containerId: `pid-${word}` }
    if (fault === 'EACCES') throw forbidden(netns)
    throw new CommandError(`find process ${word}: it does not exist`, WHAT_TO_NAME)
  }
  const netns = word.includes('/') ? word : `/run/netns/${word}`
  const fault = faultOf(netns)
  if (fault === 'EACCES') throw forbidden(netns)
  if (fault !== undefined) {
    throw new CommandError(
      `find namespace ${JSON.stringify(word)}: ${JSON.stringify(netns)} does not exist`,
      WHAT_TO_NAME
    )
  }
  return { netns, containerId: idOf(netns) }
}

/** The errno of looking at a path, undefined when it is there. */
function faultOf(path: string): string | undefined {
  try {
    statSync(path)
    return undefined
  } catch (error) {
    return errnoOf(error)
  }
}

function forbidden(netns: string): CommandError {
  return new CommandError(`look at namespace ${JSON.stringify(netns)}: EACCES`, 'run as root')
}

/** The same where a namespace that is gone is nothing unusual: DEL needs only the id. */
export function formerContainerOf(word: string): Container {
  if (/^[0-9]+$/.test(word)) {
    const netns = `/proc/${word}/ns/net`
    return { netns: existsSync(netns) ? netns : '', containerId: `pid-${word}` }
  }
  const netns = word.includes('/') ? word : `/run/netns/${word}`
  return { netns: existsSync(netns) ? netns : '', containerId: idOf(netns) }
}

function idOf(netns: string): string {
  const process = /^\/proc\/([0-9]+)\/ns\/net$/.exec(netns)
  if (process !== null) return `pid-${process[1] ?? ''}`
  const name = basename(netns)
  if (isName(name)) return name
  throw new CommandError(
    `name the container of ${JSON.stringify(netns)}: no id can be made of it`,
    'give --container-id ID'
  )
}

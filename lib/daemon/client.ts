/**
 * The plugins' side of a daemon of this host: one JSON object each way over its unix socket, `{"do": "publish", ...}` and
 * `{"ok": true, "result": ...}` or `{"ok": false, "code": 11, "msg": ..., "details": ...}`. The codes are the protocol's.
 */
import type { Attachment } from '../attachment.ts'
import { CniError, DECODE_FAILURE, INTERNAL, TRY_AGAIN_LATER } from '../cni/error.ts'
import type { Request } from '../cni/plugin.ts'
import {
  type Json,
  jsonArray,
  jsonNull,
  jsonNumber,
  jsonObject,
  jsonString,
  jsonText,
  memberOf,
  parseJson,
  withMember
} from '../config/json.ts'
import { errnoOf, messageOf } from '../sys/errors.ts'
import { DaemonConnection } from '../sys/unix-socket.ts'

/** The daemon gives up a little earlier, so that its reason is heard. */
const MARGIN = 500

/** A daemon in messages. */
export interface Daemon {
  /** What it is: `the agent`. */
  readonly name: string
  /** What to do when it does not run. */
  readonly start: string
}

/** Where it is asked, and how long one request may take. */
export interface DaemonAddress {
  readonly socket: string
  readonly milliseconds: number
}

/**
 * A call in its parts, for a caller that has other things to do between them:
 *
 *     const call = new DaemonCall(daemon, address)   // wakes the daemon
 *     call.send(request)
 *     call.answer()
 *     call.close()
 */
export class DaemonCall {
  readonly #daemon: Daemon
  readonly #address: DaemonAddress
  readonly #connection: DaemonConnection

  /** @throws {CniError} code 11 when the daemon is away */
  constructor(daemon: Daemon, address: DaemonAddress) {
    this.#daemon = daemon
    this.#address = address
    this.#connection = orAway(daemon, () => new DaemonConnection(address.socket, address.milliseconds))
  }

  /**
   * @param call an object with the member `do`
   * @throws {CniError} code 11 when the daemon has gone away
   */
  send(call: Json): void {
    const milliseconds = Math.max(MARGIN, this.#address.milliseconds - MARGIN)
    const bounded = withMember(call, 'milliseconds', jsonNumber(milliseconds))
    orAway(this.#daemon, () => this.#connection.send(jsonText(bounded)))
  }

  /**
   * Waits for the answer.
   *
   * @returns the result, null when there is nothing to tell
   * @throws {CniError} code 11 when the daemon is away; the daemon's own codes
   */
  answer(): Json {
    const daemon = this.#daemon
    const line = orAway(daemon, () => this.#connection.answer())
    const answer = decodeAnswer(daemon, this.#address, line)
    if (memberOf(answer, 'ok')?.text === 'true') return memberOf(answer, 'result') ?? jsonNull
    const code = Number(memberOf(answer, 'code')?.text ?? String(INTERNAL))
    throw new CniError(
      code,
      textMember(answer, 'msg', `${daemon.name} gave no reason`),
      textMember(answer, 'details', '')
    )
  }

  close(): void {
    this.#connection.close()
  }
}

/** Asks the daemon, and waits. See DaemonCall. */
export function callDaemon(daemon: Daemon, address: DaemonAddress, call: Json): Json {
  const asked = new DaemonCall(daemon, address)
  try {
    asked.send(call)
    return asked.answer()
  } finally {
    asked.close()
  }
}

/** Whether the failure is that the daemon does not run: what it would have done is then left to its next start. */
export function isDaemonAway(daemon: Daemon, error: Error): boolean {
  return error instanceof CniError && error.code === TRY_AGAIN_LATER && error.message.startsWith(awayText(daemon))
}

function awayText(daemon: Daemon): string {
  return `reach ${daemon.name}: `
}

function orAway<T>(daemon: Daemon, step: () => T): T {
  try {
    return step()
  } catch (error) {
    const advice = errnoOf(error) === 'EAGAIN' ? 'it is busy or stuck: see its log' : daemon.start
    throw new CniError(TRY_AGAIN_LATER, `${awayText(daemon)}${messageOf(error)}`, advice)
  }
}

function decodeAnswer(daemon: Daemon, address: DaemonAddress, line: string): Json {
  try {
    return parseJson(line)
  } catch {
    const message = `decode the answer from ${JSON.stringify(address.socket)}: it is not JSON`
    throw new CniError(DECODE_FAILURE, message, `is this the socket of ${daemon.name} of Patchbay?`)
  }
}

function textMember(json: Json, key: string, fallback: string): string {
  const member = memberOf(json, key)
  return member !== undefined && member.type === 'string' ? member.text : fallback
}

/** A call about the request's attachment: what to do, its names, and what else the daemon has to know. */
export function callAbout(
  request: Request,
  what: string,
  more: readonly (readonly [string, Json | undefined])[]
): Json {
  const members: (readonly [string, Json | undefined])[] = [
    ['do', jsonString(what)],
    ['network', jsonString(request.network)],
    ['containerId', jsonString(request.containerId)],
    ['ifName', jsonString(request.ifName)]
  ]
  for (const member of more) members.push(member)
  return jsonObject(members)
}

/** The attachments that GC keeps, for a call. */
export function attachmentsToJson(attachments: readonly Attachment[]): Json {
  return jsonArray(attachments.map(attachmentToJson))
}

function attachmentToJson(one: Attachment): Json {
  return jsonObject([
    ['containerId', jsonString(one.containerId)],
    ['ifName', jsonString(one.ifName)]
  ])
}

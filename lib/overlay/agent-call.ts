/**
 * The plugins' side of the agent: one JSON object each way over its unix socket, `{"do": "publish", ...}` and
 * `{"ok": true, ...}` or `{"ok": false, "code": 11, "msg": ..., "details": ...}`. The codes are the protocol's.
 */
import { CniError, DECODE_FAILURE, INTERNAL, TRY_AGAIN_LATER } from '../cni/error.ts'
import { type Json, jsonNumber, jsonString, jsonText, memberOf, parseJson, withMember } from '../config/json.ts'
import type { Section } from '../config/section.ts'
import { errnoOf, messageOf } from '../sys/errors.ts'
import { askDaemon } from '../sys/unix-socket.ts'

export const DEFAULT_SOCKET = '/run/patchbay/agent.sock'
const DEFAULT_TIMEOUT = 10
/** The agent gives up a little earlier, so that its reason is heard. */
const MARGIN = 500

/** How to reach the agent: the configuration's `registry`. */
export interface AgentAddress {
  readonly socket: string
  /** For one question. */
  readonly milliseconds: number
}

/** Reads `registry: {"socket": ..., "timeout": seconds}`; undefined when the configuration has none. */
export function readAgentAddress(config: Section): AgentAddress | undefined {
  const registry = config.section('registry')
  if (registry === undefined) return undefined
  const socket = registry.text('socket') ?? ''
  const seconds = registry.integer('timeout', 1, 120) ?? DEFAULT_TIMEOUT
  if (socket !== '' && !socket.startsWith('/')) registry.problem('socket', 'must be an absolute path')
  return { socket: socket === '' ? DEFAULT_SOCKET : socket, milliseconds: seconds * 1000 }
}

/**
 * Asks the agent.
 *
 * @param question an object with the member `do`
 * @returns the whole answer
 * @throws {CniError} code 11 when the agent is away or has no connection to the registry; the agent's own codes
 */
export function askAgent(agent: AgentAddress, question: Json): Json {
  const bounded = withMember(question, 'milliseconds', jsonNumber(Math.max(MARGIN, agent.milliseconds - MARGIN)))
  const answer = decodeAnswer(agent, exchange(agent, jsonText(bounded)))
  if (memberOf(answer, 'ok')?.text === 'true') return answer
  const code = Number(memberOf(answer, 'code')?.text ?? String(INTERNAL))
  throw new CniError(code, textMember(answer, 'msg', 'the agent gave no reason'), textMember(answer, 'details', ''))
}

/** Whether the failure is that no agent runs: what it would have done is then left to its next start. */
export function isAgentAway(error: Error): boolean {
  return error instanceof CniError && error.code === TRY_AGAIN_LATER && error.message.startsWith(AWAY)
}

const AWAY = 'reach the agent: '

function exchange(agent: AgentAddress, line: string): string {
  try {
    return askDaemon(agent.socket, line, agent.milliseconds)
  } catch (error) {
    const errno = errnoOf(error)
    const advice =
      errno === 'EAGAIN'
        ? 'it is busy or stuck: see its log, and its /healthz'
        : 'start it: patchbay agent (systemctl start patchbay-agent)'
    throw new CniError(TRY_AGAIN_LATER, `${AWAY}${messageOf(error)}`, advice)
  }
}

function decodeAnswer(agent: AgentAddress, line: string): Json {
  try {
    return parseJson(line)
  } catch {
    const message = `decode the answer from ${JSON.stringify(agent.socket)}: it is not JSON`
    throw new CniError(DECODE_FAILURE, message, 'is this the socket of a Patchbay agent?')
  }
}

function textMember(json: Json, key: string, fallback: string): string {
  const member = memberOf(json, key)
  return member !== undefined && member.type === 'string' ? member.text : fallback
}

/** An attachment's names, as members of a question. */
export function attachmentMembers(
  network: string,
  containerId: string,
  ifName: string
): readonly (readonly [string, Json | undefined])[] {
  return [
    ['network', jsonString(network)],
    ['containerId', jsonString(containerId)],
    ['ifName', jsonString(ifName)]
  ]
}

/**
 * Calls plugins for `npm run test:upgrade`, one after the other, out of the host's namespace that it was started in. By posix_spawn and
 * without `nsenter` a call costs half of what Node's own spawn does, so that the rate is the plugins' and not the test's.
 */
import { runPiped } from '../conformance/piped.ts'

/** A call of one plugin. */
export interface CallerRequest {
  readonly path: string
  readonly env: Readonly<Record<string, string>>
  readonly input: string
}

export interface CallerReply {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** milliseconds; a plugin waits a minute for a daemon */
const TIMEOUT = 120_000

process.on('message', ({ path, env, input }: CallerRequest) => {
  const ended = runPiped({ path, args: [], env, input: Buffer.from(input), timeoutMs: TIMEOUT })
  const { status = 255, stdout, stderr } = ended
  process.send?.({ status, stdout, stderr } satisfies CallerReply)
})

process.send?.('ready')

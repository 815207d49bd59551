/** `patchbay dhcp`: one per host, until it is told to stop. */
import { dirname } from 'node:path'
import { tellFailure } from '../lib/daemon/failure.ts'
import { lockHost } from '../lib/daemon/host-lock.ts'
import { drain, serveRequests, untilStopped } from '../lib/daemon/server.ts'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { Boot } from '../lib/state/boot.ts'
import { messageOf } from '../lib/sys/errors.ts'
import { ensureDirectory, removeFile, writeAtomic } from '../lib/sys/files.ts'
import { requireRights } from '../lib/sys/rights.ts'
import { DhcpDaemon } from './daemon.ts'
import { type Flags, parseFlags, USAGE } from './flags.ts'
import { LeaseStore } from './lease.ts'

export { USAGE } from './flags.ts'

/** Runs until SIGTERM or SIGINT. @returns the exit status */
export async function runDhcpDaemon(args: readonly string[]): Promise<number> {
  if (args.some(arg => /^--?h(elp)?$/.test(arg))) {
    process.stdout.write(USAGE)
    return 0
  }
  let flags: Flags
  try {
    flags = parseFlags(args)
  } catch (error) {
    process.stderr.write(`patchbay dhcp: ${messageOf(error)}\n${USAGE}`)
    return 2
  }
  try {
    await serve(flags)
    return 0
  } catch (error) {
    tellFailure('patchbay dhcp', error)
    return 1
  }
}

async function serve(flags: Flags): Promise<void> {
  requireRights('patchbay dhcp')
  ensureDirectory(flags.statedir, 0o700)
  ensureDirectory(dirname(flags.socketpath), 0o755)
  const unlock = lockHost(flags.statedir, 'dhcp daemon')
  const daemon = new DhcpDaemon({
    kernel: new LinuxKernel(),
    store: new LeaseStore(flags.statedir, new Boot().id()),
    socket: flags.socketpath,
    hostPrefix: flags.hostprefix,
    broadcast: flags.broadcast,
    patience: { answer: flags.timeout, pause: flags.resendmax, total: flags.resendtimeout },
    log
  })
  await daemon.start()
  const server = await serveRequests(flags.socketpath, {
    answer: (request, gone) => daemon.answer(request, gone)
  })
  if (flags.pidfile !== '') writeAtomic(flags.pidfile, `${process.pid}\n`, 0o644, false)
  log(`listening on ${flags.socketpath}, ${daemon.size} leases taken over`)
  await untilStopped()
  await drain(server)
  await daemon.stop()
  if (flags.pidfile !== '') removeFile(flags.pidfile)
  unlock()
}

function log(message: string): void {
  process.stderr.write(`patchbay dhcp: ${message}\n`)
}

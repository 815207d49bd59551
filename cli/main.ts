/**
 * The `patchbay` command, and in the Node engine's executable the plugins too: the name it is started under decides.
 * A plugin's start loads nothing of the command, whose modules come by `import()`, nor, in the executable, of other plugins:
 * there plugins/start.ts is one asset for each (build/plugin-assets.ts).
 */
import { startPlugin } from '../plugins/start.ts'
import { isDaemonStart, isPluginStart } from '../plugins/started-as.ts'

const program = process.argv[1] ?? ''

if (isDaemonStart(program)) {
  import('./command.ts').then(({ runDhcpDaemon }) =>
    runDhcpDaemon(process.argv.slice(3)).then(status => process.exit(status))
  )
} else if (isPluginStart(program)) {
  process.exit(startPlugin(program))
} else {
  import('./command.ts').then(
    ({ runCommandLine }) => runCommandLine(process.argv.slice(2)).then(status => process.exit(status)),
    (error: unknown) => {
      process.stderr.write(`patchbay: load the command: ${String(error)}\n`)
      process.exit(1)
    }
  )
}

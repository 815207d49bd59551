/**
 * The executable that runtimes start: the name it is started under picks the plugin.
 *
 *     /opt/cni/bin/bridge --.
 *     /opt/cni/bin/portmap --+--> one file
 *     /opt/cni/bin/host-local'
 */
import { startPlugin } from './start.ts'

process.exit(startPlugin(process.argv[1] ?? ''))

/** All that is not a plugin: what cli/main.ts loads when the command or a daemon is asked for. */
export { runDhcpDaemon } from '../dhcp/main.ts'
export { runCommandLine } from './command-line.ts'

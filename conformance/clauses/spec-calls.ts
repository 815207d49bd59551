/** What SPEC.md asks of a plugin about its input, its versions, its output and its errors. */
import { type Clause, since, spec } from './clause.ts'

const PARAMETERS: readonly Clause[] = [
  spec('env.command', 'MUST', ['Parameters', 221], 'A verb that the specification does not know fails.'),
  spec(
    'env.container-id',
    since('0.4.0', 'MUST'),
    ['ADD', 222, 251, 275, 317],
    'ADD, DEL and CHECK without CNI_CONTAINERID fail.'
  ),
  spec(
    'env.container-id-form',
    since('1.0.0', 'SHOULD'),
    ['Parameters', 222],
    'A container ID begins with a letter or digit and goes on with those, dots, underscores and hyphens; others fail.'
  ),
  spec(
    'env.container-id-chars',
    since('1.0.0', 'MUST'),
    ['Parameters', 222],
    'Container IDs of letters, digits, underscores, dots and hyphens are taken.'
  ),
  spec(
    'env.container-id-long',
    'MUST',
    ['Parameters', 222],
    'Container IDs of 64 characters, as runtimes make them, are told apart to the last one.'
  ),
  spec('env.netns', 'MUST', ['ADD', 251, 317], 'ADD and CHECK without CNI_NETNS fail.'),
  spec(
    'env.netns-not-a-namespace',
    'MUST',
    ['Parameters', 223, 229],
    'ADD into a path that is no network namespace, or that is not there, fails.'
  ),
  spec('env.netns-of-process', 'MUST', ['Parameters', 223], 'CNI_NETNS may be /proc/PID/ns/net.'),
  spec('env.ifname', 'MUST', ['ADD', 251, 275, 317], 'ADD, DEL and CHECK without CNI_IFNAME fail.'),
  spec(
    'env.ifname-form',
    'MUST',
    ['Parameters', 224],
    'A plugin that makes the interface fails when the kernel would not take its name.'
  ),
  spec(
    'env.ifname-used',
    'MUST',
    ['Parameters', 224],
    'An ADD that succeeds makes the interface under the name that was asked for.'
  ),
  spec(
    'env.code',
    since('1.0.0', 'SHOULD'),
    ['Error', 642],
    'A missing or invalid variable, such as an unknown verb, is told by code 4.'
  ),
  spec(
    'env.missing-named',
    since('1.0.0', 'MUST'),
    ['Error', 642],
    'An error of code 4 names every variable that is missing or invalid.'
  ),
  spec(
    'env.not-needed',
    since('1.1.0', 'MUST'),
    ['GC', 351, 363, 391],
    'STATUS, GC and VERSION need no container ID, namespace or interface name.'
  )
]

const CONFIGURATION: readonly Clause[] = [
  spec('stdin.not-json', 'MUST', ['Errors', 229], 'Input that is no JSON object fails; so does no input.'),
  spec(
    'stdin.not-json-code',
    since('1.0.0', 'SHOULD'),
    ['Error', 643, 644, 645],
    'Input that cannot be read or decoded, or is no configuration, is told by code 5, 6 or 7.'
  ),
  spec(
    'stdin.name-chars',
    since('1.0.0', 'MUST'),
    ['Configuration', 112],
    'Network names of letters, digits, underscores, dots and hyphens are taken.'
  ),
  spec(
    'stdin.large',
    'MUST',
    ['Overview', 210],
    'Configurations larger than a pipe or a page (5 KB, 70 KB) are read whole.'
  ),
  spec(
    'stdin.layout',
    'MUST',
    ['Overview', 210],
    'The configuration is JSON in any layout: other order of keys, line breaks, escaped letters.'
  ),
  spec(
    'stdin.reserved-keys',
    'SHOULD',
    ['Plugin configuration', 127],
    'Keys that a runtime puts into every configuration (runtimeConfig, args, cni.dev/...) do not disturb.'
  )
]

const VERSIONS: readonly Clause[] = [
  spec(
    'version.reply',
    since('0.2.0', 'MUST'),
    ['VERSION success', 193, 356, 602, 652],
    'VERSION prints an object with a cniVersion and the list supportedVersions of at least one version.'
  ),
  spec(
    'version.echo',
    since('1.0.0', 'MUST'),
    ['VERSION success', 602, 652],
    'The cniVersion of a VERSION reply is the one that the request named.'
  ),
  spec(
    'version.unknown',
    since('1.0.0', 'MUST'),
    ['VERSION success', 602, 652],
    'VERSION asked in a version that the plugin does not know is answered all the same.'
  ),
  spec(
    'version.no-configuration',
    since('0.2.0', 'MUST'),
    ['VERSION', 363],
    'VERSION is answered whatever else the environment holds or lacks.'
  ),
  spec(
    'version.unsupported',
    'SHOULD',
    ['Error', 639],
    'A configuration in a version that is not supported fails with code 1.'
  ),
  spec('version.all-work', since('0.2.0', 'MUST'), ['Versions', 193], 'ADD works in every version that VERSION lists.')
]

const OUTPUT: readonly Clause[] = [
  spec('out.one-object', 'MUST', ['ADD', 210, 241, 560], 'ADD that succeeds prints exactly one JSON object on stdout.'),
  spec(
    'out.silent',
    [
      ['0.4.0', 'MUST'],
      ['1.0.0', 'SHOULD']
    ],
    ['GC', 396],
    'CHECK and GC that succeed print nothing on stdout.'
  ),
  spec('out.exit', 'MUST', ['Errors', 229], 'The exit status is 0 exactly when the call succeeded.'),
  spec(
    'error.object',
    [
      ['0.1.0', 'MUST'],
      ['1.0.0', 'SHOULD']
    ],
    ['Error', 229, 617],
    'A failing call prints one JSON object with a number code and a text msg, and nothing else.'
  ),
  spec(
    'error.version',
    [
      ['0.1.0', 'MUST'],
      ['1.0.0', 'SHOULD']
    ],
    ['Error', 617],
    'The error object tells its cniVersion.'
  ),
  spec(
    'error.reserved',
    [
      ['0.1.0', 'SHOULD'],
      ['0.4.0', 'MUST'],
      ['1.0.0', 'SHOULD']
    ],
    ['Error', 635],
    'Codes up to 99 are used only as the specification defines them.'
  ),
  spec(
    'error.code-2',
    since('0.2.0', 'MUST'),
    ['Error', 146, 640],
    'A plugin that refuses a field with code 2 names the key and the value.'
  )
]

export const SPEC_CALLS: readonly Clause[] = [...PARAMETERS, ...CONFIGURATION, ...VERSIONS, ...OUTPUT]

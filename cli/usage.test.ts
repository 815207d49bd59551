/** What is said to who asks for help, or needs it. */
import { existsSync } from 'node:fs'
import { answerOf, type CommandAnswer } from '../lib/testing/command-stage.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { GRAMMAR, runCommandLine } from './command-line.ts'
import { optionName, usageLine } from './spec.ts'

const test = suite('cli/usage')

const command = (...argv: string[]): Promise<CommandAnswer> => answerOf(runCommandLine, argv)

/** What is wrong with each. */
const MISUSES: readonly (readonly [readonly string[], RegExp])[] = [
  [['frob'], /unknown command 'frob'/],
  [['detatch', 'a', 'b'], /unknown command 'detatch'; did you mean detach\?/],
  [
    ['attach', 'blue'],
    /missing required argument 'CONTAINER'\n.*the form is: patchbay attach \[options\] NETWORK CONTAINER/
  ],
  [['attach', 'blue', 'c1', '--frob'], /unknown option '--frob'/],
  [['attach', 'blue', 'c1', '--ifnam', 'x'], /unknown option '--ifnam'; did you mean --ifname\?/],
  [['detach', 'blue'], /which container\?/],
  [['network'], /network needs a verb/],
  [['network', 'frob'], /unknown command 'frob'/],
  [['network', 'creat', 'x'], /did you mean create\?/],
  [['network', 'toString'], /unknown command 'toString'/],
  [['network', 'create', 'x', '-d', 'brigde'], /no driver "brigde"; did you mean "bridge"\?/],
  [['network', 'create', 'x'.repeat(300)], /a name has at most 230 letters, this one 300/],
  [['network', 'ls', '-f', 'drivr=x'], /did you mean "driver"\?/],
  [['completion', 'bsh'], /did you mean "bash"\?/],
  [['network', 'connect', 'x', 'y', '--link-local-ip', '169.254.1.1'], /a link-local address is the interface's own/],
  [['network', 'connect', 'x', 'y', '--ip', 'fd00::1'], /read --ip "fd00::1": must be an IPv4 address/],
  [['network', 'connect', 'x', 'y', '--gw-priority', 'high'], /read --gw-priority "high": must be an integer/],
  [
    ['network', 'connect', 'x', 'y', '--driver-opt', 'com.docker.network.endpoint.ifnam=z'],
    /did you mean "com.docker.network.endpoint.ifname"\?/
  ],
  [['run', '--network', 'blue', '--network', 'red', '--ip', '10.0.0.1', 'true'], /which network are address/],
  [['run', '--network', 'host', '--network-alias', 'x', 'true'], /takes no address and no name/],
  [['run', '--link', 'a:b c', 'true'], /--link "a:b c": alias "b c": must be of letters/],
  [['pull', 'alpine'], /unknown command 'pull'\n.*images are nerdctl's and podman's/],
  [['service', 'scale', 'web=3'], /unknown command 'scale'\n.*start or stop some of them/],
  [['service', 'create', 'web', '--replicas', '3'], /unknown option '--replicas'\n.*start or stop some of them/],
  [['service', 'create', '--network', 'blue'], /the name is missing/],
  [['service', 'create', '--name', 'web', '--network', 'blue', 'nginx'], /"nginx" is one word too many\n.*no image/],
  [['run', '--network', 'container:', 'true'], /container:: which container\?/],
  [['run', '--hostname', 'a b', 'true'], /--hostname "a b": must be/],
  [['service', 'update', 'web', '--publish-rm', 'http'], /read --publish-rm "http": must be as in 80/],
  [['run', '-v', '/a:/b', 'true'], /unknown option '-v'\n.*sees its files/],
  [['network', 'create', 'x', '-d', 'host'], /no driver "host"\n.*patchbay run --network host/],
  [['ps', '-n', 'x'], /--last "x": must be a number/],
  [['ps', '-f', 'statsu=running'], /did you mean "status"\?/],
  [['kill', '-s', 'HUPP', 'c1'], /no such signal; did you mean "SIGHUP"\?/],
  [['gc'], /missing required argument 'NETWORK'/],
  [['install', '--engine', 'fast'], /must be one of native, node/]
]

test('wrong use is status 2 and explained, with the form of the command; nothing was done', async () => {
  for (const [argv, message] of MISUSES) {
    const more = /^(attach|detach|gc|network (ls|create))/.test(argv.join(' ')) ? ['--conf-dir', '/nonexistent'] : []
    const answer = await command(...argv, ...more)
    assert.is(answer.status, 2, `${argv.join(' ')}: ${answer.err}`)
    assert.is(answer.out, '')
    assert.match(answer.err, message)
  }
  assert.not.ok(existsSync('/nonexistent'))
})

test('what Docker calls otherwise is taken, too', async () => {
  const plan = async (...argv: string[]): Promise<unknown> =>
    JSON.parse((await command('run', '--dry-run', '--json', ...argv, 'true')).out).networks
  assert.equal(await plan('--net', 'blue', '--network', 'green'), ['green', 'blue'])
  assert.equal(await plan('-dit', '--net=default'), ['bridge'])
  const service = JSON.parse(
    (
      await command(
        ...['service', 'create', '--name', 'web', '--network', 'blue', '--endpoint-mode', 'vip', '--dry-run'],
        ...['--publish', 'published=8001,target=80', '-p', '53:53/udp']
      )
    ).out
  )
  assert.equal([service.name, service.service.mode], ['web', 'vip'])
  assert.equal(service.service.publish, [
    { port: 8001, target: 80, protocol: 'tcp' },
    { port: 53, target: 53, protocol: 'udp' }
  ])
  assert.is((await command('container', 'ls', '--help')).out, (await command('ps', '--help')).out)
})

test('help and version', async () => {
  const whole = await command('--help')
  assert.match(whole.out, /^Usage: patchbay COMMAND \[options\]/)
  assert.match((await command('attach', '--help')).out, /^Usage: patchbay attach \[options\] NETWORK CONTAINER\n/)
  assert.is((await command('help', 'network', 'create')).out, (await command('network', 'create', '--help')).out)
  const nothing = await command()
  assert.equal([nothing.status, nothing.out, nothing.err], [2, '', whole.out])
  assert.match(
    (await command('version')).out,
    /^Patchbay v[0-9.]+\nCNI versions: 0\.1\.0, .*1\.1\.0\nplugins: .*loopback/
  )
  assert.ok(JSON.parse((await command('--version', '--json')).out).plugins.includes('bridge'))
})

test('the help of a verb is its own, with examples, within 80 columns, and every option of it is taken', async () => {
  for (const spec of GRAMMAR.commands) {
    const { out } = await command(...spec.name.split(' '), '--help')
    assert.match(out, `Usage: ${usageLine(spec)}\n`)
    assert.match(out, '\nExamples:\n')
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line)
    for (const option of spec.options ?? []) assert.match(out, `--${optionName(option)}`)
  }
  assert.not.match((await command('network', 'ls', '--help')).out, '--subnet')
})

/** What these do is shown or printed, or it is a program's that they start; everything else can be asked what it would do. */
const WRITES_NOTHING =
  /^((network|service) (ls|inspect|ps)|ps|inspect|map|ui|top|exec|logs|port|check|status|completion|version)$/

test('whatever writes can be asked what it would do', () => {
  for (const spec of GRAMMAR.commands) {
    const has = (spec.options ?? []).some(option => optionName(option) === 'dry-run')
    assert.is(has, !WRITES_NOTHING.test(spec.name), spec.name)
  }
})

test('programs show the options that they read themselves', async () => {
  assert.match((await command('agent', '--help')).out, /--config FILE/)
  assert.match((await command('conformance', '--help')).out, /--plugin-dir \[NAME=\]DIR/)
  assert.match((await command('dhcp', '--help')).out, /socketpath/)
})

test.run()

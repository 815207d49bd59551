// needs: ip nft perl
// time-out: 300 s
import { join } from 'node:path'
import { BridgedContainers } from '../../lib/testing/bridged-containers.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { askBySctp as ask, loadSctp, SctpServer } from '../../lib/testing/sctp.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { portmap } from './portmap.ts'

const test = suite('plugins/portmap, SCTP on a kernel that has it')

test('published: outside, host, localhost, neighbour and other bridge reach it, under the right address; DEL ends it', () => {
  const lab = new BridgedContainers()
  const caller = new PluginCaller(portmap(new HostedKernel(lab.host.path)), lab.first.path, {})
  loadSctp(lab.host)
  const server = SctpServer.start(lab.first, 3868, join(caller.directory, 'ready'), 'sctp')
  try {
    server.waitUntilReady()
    const config = {
      prevResult: lab.prevResult(lab.first),
      runtimeConfig: { portMappings: [{ hostPort: 3900, containerPort: 3868, protocol: 'sctp' }] }
    }
    caller.ok('ADD', { config })
    caller.ok('CHECK', { config })
    assert.is(ask(lab.outside, '192.0.2.1', 3900), 'sctp 192.0.2.9')
    assert.is(ask(lab.outside, 'fd00:9::1', 3900), 'sctp fd00:9::9')
    assert.is(ask(lab.host, '192.0.2.1', 3900), 'sctp 192.0.2.1')
    assert.is(ask(lab.host, '127.0.0.1', 3900), 'sctp 10.4.0.1')
    assert.is(ask(lab.second, '192.0.2.1', 3900), 'sctp 10.4.0.1')
    assert.is(ask(lab.third, 'fd00:9::1', 3900), 'sctp fd00:5::2')
    assert.is(ask(lab.outside, '192.0.2.1', 3901), '')
    caller.ok('DEL', { config })
    assert.is(ask(lab.outside, '192.0.2.1', 3900), '')
    assert.is(lab.host.run('nft', ['list', 'ruleset']).stdout, '')
  } finally {
    server.close()
    caller.close()
    lab.close()
  }
})

test.run()

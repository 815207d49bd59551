// needs: ip nft perl
// time-out: 300 s
/** A service's address by SCTP, on a kernel that has it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import { askBySctp, loadSctp, SctpServer } from '../../lib/testing/sctp.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { Switched } from '../../lib/testing/switched.ts'
import { balancedAt, clientTable } from './client-rules.ts'

const test = suite('agent/services, SCTP on a kernel that has it')

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`no address: ${text}`)
  return parsed
}

test('associations go to the members in turn, and are refused without any', () => {
  const lab = new Switched(3)
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-sctp-'))
  const [client, ...machines] = lab.machines
  if (client === undefined) throw new Error('no client')
  loadSctp(client)
  const servers = machines.map((one, i) => SctpServer.start(one, 3868, join(directory, `ready${i}`), `member${i}`))
  const net = new LinuxKernel().open(client.path)
  const nft = new LinuxKernel().nft(net)
  try {
    for (const one of servers) one.waitUntilReady()
    const vip = address('10.4.0.100')
    const table = clientTable(nft, 4, 0)
    const members = ['10.4.0.3', '10.4.0.4'].map(address)
    table.apply([balancedAt('web', vip, members, false)])
    const answers = Array.from({ length: 4 }, () => askBySctp(client, '10.4.0.100', 3868)).sort()
    assert.equal(answers, ['member0 10.4.0.2', 'member0 10.4.0.2', 'member1 10.4.0.2', 'member1 10.4.0.2'])
    table.apply([balancedAt('web', vip, [], false)])
    assert.is(askBySctp(client, '10.4.0.100', 3868), '')
  } finally {
    for (const one of servers) one.close()
    nft.close()
    net.close()
    lab.close()
    rmSync(directory, { recursive: true, force: true })
  }
})

test.run()

// needs: dbus-daemon
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeFirewalld } from '../testing/fake-firewalld.ts'
import { Helper, isListening } from '../testing/helper.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { Dbus } from './dbus.ts'
import { addToZone, areInZone, isFirewalldRunning, removeFromZone } from './firewalld.ts'

const test = suite('lib/firewalld/dbus')

const DAEMON = '/usr/bin/dbus-daemon'

const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interfaceName: 'org.freedesktop.DBus'
}

function onRealBus(body: () => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'dbus-'))
  const socket = join(directory, 'bus')
  const policy =
    '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy>'
  const config = `<busconfig><type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>${policy}</busconfig>`
  writeFileSync(join(directory, 'conf'), config)
  const command = [DAEMON, `--config-file=${join(directory, 'conf')}`, '--nofork', '--nopidfile']
  const daemon = Helper.start('dbus-daemon', command, () => isListening(socket))
  try {
    process.env['DBUS_SYSTEM_BUS_ADDRESS'] = `unix:path=${socket}`
    body()
  } finally {
    delete process.env['DBUS_SYSTEM_BUS_ADDRESS']
    daemon.end()
    rmSync(directory, { recursive: true })
  }
}

test('the real daemon understands us, and we its answers', () =>
  onRealBus(() => {
    const bus = new Dbus()
    assert.is(bus.hasService('org.freedesktop.DBus'), true)
    assert.is(bus.hasService('org.example.Nobody'), false)
    assert.is(bus.call({ ...BUS, member: 'GetNameOwner' }, ['org.freedesktop.DBus']).text, 'org.freedesktop.DBus')
    const refused = (): unknown => bus.call({ ...BUS, member: 'GetNameOwner' }, ['org.example.Nobody'])
    throwsLike(refused, { name: 'DbusError', message: /NameHasNoOwner/ })
    // The connection outlives an error, and a name of any length its alignment.
    for (let length = 1; length < 12; length += 1) {
      assert.is(bus.hasService(`org.${'x'.repeat(length)}`), false)
    }
    bus.close()
    assert.is(isFirewalldRunning(), false)
  }))

test('no bus is no firewalld', () => {
  process.env['DBUS_SYSTEM_BUS_ADDRESS'] = 'unix:path=/nonexistent'
  assert.is(isFirewalldRunning(), false)
  throwsLike(() => new Dbus(), { errno: 'ENOENT' })
})

test('zones: what is there already, or gone already, is no error; a wrong zone is', () => {
  const firewalld = new FakeFirewalld()
  try {
    process.env['DBUS_SYSTEM_BUS_ADDRESS'] = firewalld.address
    const addresses = [
      { family: 4 as const, bytes: new Uint8Array([10, 4, 0, 2]) },
      { family: 6 as const, bytes: new Uint8Array(16).fill(1) }
    ]
    assert.is(isFirewalldRunning(), true)
    assert.is(areInZone('trusted', addresses), false)
    addToZone('trusted', addresses)
    addToZone('trusted', addresses)
    assert.is(areInZone('trusted', addresses), true)
    assert.is(areInZone('public', addresses), false)
    removeFromZone('trusted', addresses)
    removeFromZone('trusted', addresses)
    assert.is(areInZone('trusted', addresses), false)
    throwsLike(() => addToZone('nosuch', addresses), { errno: 'INVALID_ZONE' })
  } finally {
    delete process.env['DBUS_SYSTEM_BUS_ADDRESS']
    firewalld.close()
  }
})

test.run()

/** Published ports of services on three hosts, one of them without a container; nft, ip and real connections are the judges. */
// needs: etcd etcdctl nft bridge
// time-out: 600 s
import { EchoServer, expectAnswers } from '../../lib/testing/echo.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import { reachesLoopback } from '../../lib/testing/loopback-attack.ts'
import { ok } from '../../lib/testing/overlay-lab.ts'
import { inSite } from '../../lib/testing/overlay-site.ts'
import { answersFrom, attach, detach, makeServiceNetwork, service, tables } from '../../lib/testing/service-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services, published ports')

test('every host answers, from outside and by 127.0.0.1, also one without a container; nothing is left', async () => {
  await inSite({ members: 1 }, async site => {
    await makeServiceNetwork(site)
    const before = site.lab.hosts.map(host => [site.lab.links(host.namespace), tables(host.namespace)].join())
    const boxes = [attach(site, 0, 'web1', 'web'), attach(site, 1, 'web2', 'web')]
    const servers = boxes.map(box => EchoServer.start(box.netns, box.id, ['tcp 80', 'udp 53']))
    const outside = site.lab.plug(9).namespace
    try {
      const made = service(site, 2, 'create', 'web', '--network', 'blue', '-p', '8001:80', '-p', '53:53/udp')
      assert.is(made.status, 0, made.stderr)
      for (const { namespace, address, number } of site.lab.hosts) {
        await until(
          `host ${number} answers`,
          () => answersFrom(outside, address, 1, 8001)['ECONNREFUSED'] === undefined
        )
        assert.equal(answersFrom(outside, address, 4, 8001), { web1: 2, web2: 2 }, `host ${number}`)
        assert.equal(answersFrom(namespace, '127.0.0.1', 4, 8001), { web1: 2, web2: 2 }, `host ${number} by 127.0.0.1`)
        assert.equal(answersFrom(namespace, address, 2, 8001), { web1: 1, web2: 1 }, `host ${number} itself`)
      }
      // Members see the host's own address in the network, whoever asks.
      const own = /inet (10\.43\.\d+\.\d+)\/32/.exec(ok(site.lab.host(2).namespace, 'ip -4 address'))?.[1] ?? ''
      expectAnswers(outside, ['udp 192.0.2.3 53'], [`web1 ${own}`])
      const [shown] = JSON.parse(service(site, 2, 'inspect', 'web').stdout)
      for (const one of shown.Members) assert.ok(one.Sent.Packets > 0 && one.Received.Packets > 0, JSON.stringify(one))
      // The bridge is open for 127.0.0.1, and what its containers send there does not arrive.
      const { namespace } = site.lab.host(0)
      const bridge = /^\d+: (br-vx\d+):/m.exec(ok(namespace, 'ip -o link show type bridge'))?.[1] ?? ''
      assert.match(ok(namespace, `sysctl net.ipv4.conf.${bridge}.route_localnet`), /= 1$/m)
      const evil = attach(site, 0, 'evil')
      assert.is(reachesLoopback(evil.netns, namespace, '10.43.0.1'), false)
      detach(site, evil)

      for (const box of boxes) detach(site, box)
      for (const { address } of site.lab.hosts)
        await until('it is refused', () => answersFrom(outside, address, 1, 8001)['ECONNREFUSED'] === 1)
      assert.is(service(site, 0, 'rm', 'web').status, 0)
      for (const [i, { namespace }] of site.lab.hosts.entries()) {
        await until(
          `host ${i} is as before`,
          () => [site.lab.links(namespace), tables(namespace)].join() === before[i]
        ).catch(error => {
          throw new Error(`${error.message}: ${site.lab.links(namespace)} ${tables(namespace)}`)
        })
      }
    } finally {
      for (const server of servers) server.close()
    }
  })
})

test('a port is one service’s or one container’s, and the owner is named', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    await makeServiceNetwork(site)
    const box = attach(site, 0, 'web1', 'web')
    const portmap = (id: string, hostPort: number, command = 'ADD') =>
      site.lab.call(
        site.lab.host(0),
        command,
        {
          type: 'portmap',
          name: 'blue',
          runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }] },
          prevResult: {
            cniVersion: '1.1.0',
            interfaces: [{ name: 'eth0', sandbox: box.netns.path }],
            ips: [{ address: `${box.address}/24`, interface: 0 }]
          }
        },
        { id, netns: box.netns.path }
      )
    assert.is(portmap('c7', 8080).status, 0)
    const refused = service(site, 0, 'create', 'web', '--network', 'blue', '-p', '8080:80')
    assert.is(refused.status, 1)
    assert.match(
      refused.stderr,
      /publish port 8080\/tcp of service "web": container "blue c7 eth0" has it on this host/
    )
    assert.is(service(site, 0, 'create', 'web', '--network', 'blue', '-p', '8001:80').status, 0)
    const second = service(site, 0, 'create', 'shop', '--network', 'blue', '--alias', 'web', '-p', '8001:80')
    assert.match(second.stderr, /publish port 8001\/tcp of service "shop": service "web" has it/)
    await until('it is published', () => tables(site.lab.host(0).namespace).includes('patchbay-published'))
    const taken = portmap('c8', 8001)
    assert.is(taken.json.code, 101, taken.stdout)
    assert.match(taken.json.msg, /map port tcp \*:8001: EEXIST \(mapped already by service "web"\)/)
    const updated = service(site, 0, 'update', 'web', '--publish-rm', '80', '--publish-add', '8002:80')
    assert.is(updated.status, 0, updated.stderr)
    await until('the port is free', () => portmap('c8', 8001).status === 0)
    const moved = service(site, 0, 'update', 'web', '--no-publish')
    assert.is(moved.status, 0, moved.stderr)
    await until('none is published', () => !tables(site.lab.host(0).namespace).includes('patchbay-published'))
  })
})

test('of services that are made on two hosts at once with one port, or one name, one is made', async () => {
  await inSite({ members: 1, hosts: 2 }, async site => {
    await makeServiceNetwork(site)
    const create = (host: number, name: string, port: number) =>
      site.agent(host).ask({
        do: 'service-create',
        name,
        service: { network: 'blue', publish: [{ port, target: 80, protocol: 'tcp' }] }
      })
    for (const [names, ports, words] of [
      [['a', 'b'], [8001, 8001], /^publish port 8001\/tcp of service "[ab]": service "[ab]" has it$/],
      [['c', 'c'], [8002, 8003], /^create service "c": there is a service of this name on network "blue" since /]
    ] as const) {
      const answers = await Promise.all([0, 1].map(host => create(host, names[host] ?? '', ports[host] ?? 0)))
      const refused = answers.filter(one => !one.ok)
      assert.is(refused.length, 1, JSON.stringify(answers))
      assert.match(refused[0]?.msg ?? '', words)
    }
    // Each has an address of its own, and the one that was refused has none.
    const owners = site.etcd.ctl('get', '--prefix', '--print-value-only', '/patchbay/addresses/blue/')
    const services = [...owners.matchAll(/"containerId":"(service .)"/g)].map(match => match[1]).sort()
    assert.match(services.join(), /^service [ab],service c$/)
  })
})

test('a port that a container of another host has is seen on every host, until it is free', async () => {
  await inSite({ members: 1, hosts: 2, agent: { compareSeconds: 1 } }, async site => {
    await makeServiceNetwork(site)
    const box = attach(site, 1, 'web1', 'web')
    const portmap = (command: string) => {
      const interfaces = [{ name: 'eth0', sandbox: box.netns.path }]
      const ips = [{ address: `${box.address}/24`, interface: 0 }]
      const runtimeConfig = { portMappings: [{ hostPort: 8001, containerPort: 80, protocol: 'tcp' }] }
      const prevResult = { cniVersion: '1.1.0', interfaces, ips }
      const config = { type: 'portmap', name: 'blue', runtimeConfig, prevResult }
      return site.lab.call(site.lab.host(1), command, config, { id: 'c7', netns: box.netns.path })
    }
    assert.is(portmap('ADD').status, 0)
    assert.is(service(site, 0, 'create', 'web', '--network', 'blue', '-p', '8001:80', '-p', '8002:80').status, 0)
    const unpublished = (host: number) => JSON.parse(service(site, host, 'inspect', 'web').stdout)[0].Unpublished
    const there = [{ Host: `h${site.lab.host(1).number}`, Port: '8001/tcp', Owner: 'blue c7 eth0' }]
    for (const host of [0, 1])
      await until(`host ${host} tells`, () => JSON.stringify(unpublished(host)) === JSON.stringify(there))
    const listed = service(site, 0, 'ls')
    assert.match(listed.stdout, /\*:8001->80\/tcp/)
    assert.match(
      listed.stderr,
      /publish port 8001\/tcp of service "web": container "blue c7 eth0" has it on host ".+"\n/
    )
    assert.is(portmap('DEL').status, 0)
    for (const host of [0, 1]) await until(`host ${host} is content`, () => unpublished(host).length === 0)
    assert.is(service(site, 0, 'ls').stderr, '')
  })
})

test.run()

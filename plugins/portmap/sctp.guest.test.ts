// needs: ip nft perl
// time-out: 300 s
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BridgedContainers } from '../../lib/testing/bridged-containers.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { HostedKernel, PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { portmap } from './portmap.ts'

const test = suite('plugins/portmap, SCTP on a kernel that has it')

const PERL = '/usr/bin/perl'

/** Node knows no SCTP, perl takes any protocol's number. Answers each association with the asker's address. */
const SERVER = `
  use Socket qw(:DEFAULT inet_ntop sockaddr_family unpack_sockaddr_in6);
  my ($port, $ready) = @ARGV;
  socket(my $s, AF_INET6, SOCK_STREAM, 132) or die "socket: $!";
  bind($s, pack_sockaddr_in6($port, Socket::IN6ADDR_ANY)) or die "bind: $!";
  listen($s, 5) or die "listen: $!";
  open(my $f, '>', $ready) or die; close($f);
  while (my $from = accept(my $c, $s)) {
    my (undef, $address) = unpack_sockaddr_in6($from);
    my $text = inet_ntop(AF_INET6, $address);
    $text =~ s/^::ffff://;
    syswrite($c, "sctp $text");
    close($c);
  }`

const CLIENT = `
  use Socket qw(:DEFAULT inet_pton);
  my ($address, $port) = @ARGV;
  alarm 30;
  my $six = $address =~ /:/;
  socket(my $s, $six ? AF_INET6 : AF_INET, SOCK_STREAM, 132) or die "socket: $!";
  my $to = $six ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_aton($address));
  connect($s, $to) or exit 0;
  sysread($s, my $answer, 100);
  print $answer // '';`

function ask(from: Namespace, address: string, port: number): string {
  return from.run(PERL, ['-e', CLIENT, address, String(port)]).stdout
}

test('published: outside, host, localhost, neighbour and other bridge reach it, under the right address; DEL ends it', () => {
  const lab = new BridgedContainers()
  const caller = new PluginCaller(portmap(new HostedKernel(lab.host.path)), lab.first.path, {})
  const ready = join(caller.directory, 'ready')
  const args = [`--net=${lab.first.path}`, PERL, '-e', SERVER, '3868', ready]
  // The kernel would load it by itself at the first socket; this way an error is seen.
  const loaded = lab.host.run('modprobe', ['sctp'])
  assert.is(loaded.status, 0, loaded.stderr)
  const server = spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    const deadline = Date.now() + 240_000
    while (!existsSync(ready)) {
      assert.ok(Date.now() < deadline && server.exitCode === null, 'the server listens')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
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
    server.kill('SIGKILL')
    caller.close()
    lab.close()
  }
})

test.run()

/** SCTP on kernels that have it. Node knows none; perl takes any protocol's number. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Namespace } from './namespace.ts'

const PERL = '/usr/bin/perl'
const READY_MS = 240_000

const SERVER = `
  use Socket qw(:DEFAULT inet_ntop sockaddr_family unpack_sockaddr_in6);
  my ($port, $ready, $name) = @ARGV;
  socket(my $s, AF_INET6, SOCK_STREAM, 132) or die "socket: $!";
  bind($s, pack_sockaddr_in6($port, Socket::IN6ADDR_ANY)) or die "bind: $!";
  listen($s, 5) or die "listen: $!";
  open(my $f, '>', $ready) or die; close($f);
  while (my $from = accept(my $c, $s)) {
    my (undef, $address) = unpack_sockaddr_in6($from);
    my $text = inet_ntop(AF_INET6, $address);
    $text =~ s/^::ffff://;
    syswrite($c, "$name $text");
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

/** The kernel would load it by itself at the first socket; this way an error is seen. */
export function loadSctp(where: Namespace): void {
  const loaded = where.run('modprobe', ['sctp'])
  if (loaded.status !== 0) throw new Error(`load SCTP: ${loaded.stderr}`)
}

/** Answers each association with its name and the asker's address. */
export class SctpServer {
  readonly #child: ChildProcess
  readonly #ready: string

  private constructor(child: ChildProcess, ready: string) {
    this.#child = child
    this.#ready = ready
  }

  /** @param ready a path at which it makes a file when it listens */
  static start(where: Namespace, port: number, ready: string, name: string): SctpServer {
    const args = [`--net=${where.path}`, PERL, '-e', SERVER, String(port), ready, name]
    return new SctpServer(spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'inherit'] }), ready)
  }

  waitUntilReady(): void {
    const deadline = Date.now() + READY_MS
    while (!existsSync(this.#ready)) {
      if (Date.now() > deadline || this.#child.exitCode !== null) throw new Error('the SCTP server does not listen')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    }
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}

/** @returns what the server said; '' when it is refused */
export function askBySctp(from: Namespace, address: string, port: number): string {
  return from.run(PERL, ['-e', CLIENT, address, String(port)]).stdout
}

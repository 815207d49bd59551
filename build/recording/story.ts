/** What is typed in the recording, from an empty host back to an empty host. */

export interface Line {
  /** A command of the shell, in at most 78 columns. */
  readonly typed: string
  /** A port of the host that is answered before the next line is typed: a server in the background takes a moment. */
  readonly opens?: number
  /** Its exit status; 0 when absent. */
  readonly status?: number
}

export const STORY: readonly Line[] = [
  { typed: 'patchbay network create blue --subnet 10.5.0.0/24' },
  { typed: 'patchbay run -d --name db --network blue -- sleep 600' },
  { typed: 'patchbay run -d --name web --network blue -p 8080:80 -- busybox httpd -f', opens: 8080 },
  { typed: 'patchbay exec db busybox wget -qO- http://web' },
  { typed: 'busybox wget -qO- http://127.0.0.1:8080' },
  { typed: 'patchbay port web' },
  { typed: 'patchbay network ls' },
  { typed: 'patchbay map' },
  { typed: 'patchbay doctor --check agent --check names' },
  { typed: 'patchbay exec db ip link set eth0 mtu 1400' },
  { typed: 'patchbay check blue db', status: 1 },
  { typed: 'patchbay rm -f web db' },
  { typed: 'patchbay network rm blue' }
]

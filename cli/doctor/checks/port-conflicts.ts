/** One port of the host that two containers publish. */
import type { AttachmentView, PortView } from '../../../lib/view/model.ts'
import type { Check } from '../finding.ts'

interface Published {
  readonly network: string
  readonly attachment: AttachmentView
  readonly port: PortView
}

export const portConflicts: Check = {
  name: 'port-conflicts',
  title: 'each port of the host leads to one container',
  find: ({ view }) => {
    const published = view.networks.flatMap(({ name, attachments }) =>
      attachments
        .filter(one => one.namespace !== '')
        .flatMap(attachment => attachment.ports.map((port): Published => ({ network: name, attachment, port })))
    )
    return published.flatMap((one, i) =>
      published
        .slice(i + 1)
        .filter(other => isSamePort(one, other))
        .map(other => ({
          severity: 'error' as const,
          what: `port ${String(Math.max(one.port.hostPort, other.port.hostPort))}/${one.port.protocol} of the host is published by two containers`,
          evidence: [one, other].map(
            ({ network, attachment, port }) =>
              `${attachment.containerId} (${attachment.ifName}) of network ${network}: ${port.hostAddress === '' ? '' : `${port.hostAddress}:`}${String(port.hostPort)}`
          ),
          remedy: 'publish one of them at another port or another address of the host'
        }))
    )
  }
}

/** A container on two networks publishes its ports once. */
function isSamePort(a: Published, b: Published): boolean {
  const ends = (one: PortView): number => one.hostPort + one.count
  return (
    a.attachment.containerId !== b.attachment.containerId &&
    a.port.protocol === b.port.protocol &&
    (a.port.hostAddress === '' || b.port.hostAddress === '' || a.port.hostAddress === b.port.hostAddress) &&
    a.port.hostPort < ends(b.port) &&
    b.port.hostPort < ends(a.port)
  )
}

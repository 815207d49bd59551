/** The drivers of `network create`: a list apart, so that the table of commands loads nothing else. */

/** Each is the plugin of the same name, but for overlay, which is vxlan on every host of the cluster. */
export const DRIVER_NAMES = ['bridge', 'ptp', 'macvlan', 'ipvlan', 'overlay'] as const

/** Who gives addresses. */
export const IPAM_DRIVERS = ['host-local', 'dhcp', 'none', 'cluster'] as const

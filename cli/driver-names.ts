/** The drivers of `network create`: a list apart, so that the table of commands loads nothing else. */

/** Each is the plugin of the same name. */
export const DRIVER_NAMES = ['bridge', 'ptp', 'macvlan', 'ipvlan'] as const

/** Who gives addresses. */
export const IPAM_DRIVERS = ['host-local', 'dhcp', 'none'] as const

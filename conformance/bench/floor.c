/*
 * What the kernel alone takes for a bridge ADD with address allocation: the same requests, files and answer, in the fewest
 * calls, with nothing judged, nothing prepared for undoing and the benchmark's configuration built in. No plugin can be
 * faster; how far one is above it is its own doing.
 *
 * Takes CNI_COMMAND ADD and DEL; without one it ends at once, which is what any program's start costs. Of the configuration only
 * dataDir is read.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BRIDGE "cni0"
#define STATE "/run/cni"

static const uint8_t GATEWAY[4] = {10, 77, 0, 1};
static const uint8_t BROADCAST[4] = {10, 77, 255, 255};

static char input[1 << 16];
static char request[4096];
static size_t used;
static struct nlmsghdr *message;

static void fail(const char *what) {
  dprintf(1, "{\"code\": 999, \"msg\": \"floor: %s: %m\"}\n", what);
  _exit(1);
}

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? "" : value;
}

/* The path of that form; four are kept. */
__attribute__((format(printf, 1, 2))) static const char *path(const char *form, ...) {
  static char paths[4][512];
  static int next;
  char *text = paths[next++ % 4];
  va_list values;
  va_start(values, form);
  vsnprintf(text, sizeof paths[0], form, values);
  va_end(values);
  return text;
}

/* --- files --- */

static int open_or_fail(const char *name, int flags) {
  int fd = open(name, flags | O_CLOEXEC, 0600);
  if (fd < 0) fail(name);
  return fd;
}

static void put(const char *name, int flags, const char *text) {
  int fd = open_or_fail(name, O_WRONLY | flags);
  if (write(fd, text, strlen(text)) < 0) fail(name);
  close(fd);
}

/* The text of a file, '' when there is none; the next call overwrites it. */
static const char *get(const char *name) {
  static char text[256];
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[length < 0 ? 0 : length] = '\0';
  return text;
}

static int lock(const char *folder) {
  int fd = open_or_fail(path("%s/lock", folder), O_RDWR | O_CREAT);
  if (flock(fd, LOCK_EX) < 0) fail("flock");
  return fd;
}

/* --- netlink --- */

static void append(const void *bytes, size_t length) {
  memcpy(request + used, bytes, length);
  used += NLMSG_ALIGN(length);
  message->nlmsg_len = (uint32_t)(request + used - (char *)message);
}

static void begin(int type, int flags, const void *header, size_t length) {
  static uint32_t sequence;
  message = (struct nlmsghdr *)(request + used);
  *message = (struct nlmsghdr){.nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags), .nlmsg_seq = ++sequence};
  used += NLMSG_HDRLEN;
  append(header, length);
}

static struct rtattr *attribute(int type, const void *value, size_t length) {
  struct rtattr *made = (struct rtattr *)(request + used);
  struct rtattr header = {.rta_type = (unsigned short)type, .rta_len = (unsigned short)RTA_LENGTH(length)};
  append(&header, sizeof header);
  if (length > 0) append(value, length);
  return made;
}

static void text_attribute(int type, const char *text) { attribute(type, text, strlen(text) + 1); }

static void number_attribute(int type, uint32_t number) { attribute(type, &number, sizeof number); }

static void end(struct rtattr *nest) { nest->rta_len = (unsigned short)(request + used - (char *)nest); }

struct seen {
  int index;
  uint32_t peer;
  char mac[18];
};

static void see(struct seen *link, struct nlmsghdr *answer) {
  struct ifinfomsg *info = NLMSG_DATA(answer);
  link->index = info->ifi_index;
  int left = (int)IFLA_PAYLOAD(answer);
  for (struct rtattr *one = IFLA_RTA(info); RTA_OK(one, left); one = RTA_NEXT(one, left)) {
    const uint8_t *value = RTA_DATA(one);
    if (one->rta_type == IFLA_LINK) memcpy(&link->peer, value, sizeof link->peer);
    if (one->rta_type != IFLA_ADDRESS) continue;
    snprintf(link->mac, sizeof link->mac, "%02x:%02x:%02x:%02x:%02x:%02x", value[0], value[1], value[2], value[3], value[4], value[5]);
  }
}

/* Sends what was begun and takes so many answers, the last link among them into `link`. Returns the first errno. */
static int ask(int fd, int answers, struct seen *link) {
  static char room[1 << 16];
  int refused = 0;
  if (send(fd, request, used, 0) < 0) fail("send");
  used = 0;
  while (answers > 0) {
    ssize_t length = recv(fd, room, sizeof room, 0);
    if (length <= 0) fail("recv");
    unsigned left = (unsigned)length;
    for (struct nlmsghdr *one = (struct nlmsghdr *)room; NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
      int error = one->nlmsg_type == NLMSG_ERROR ? -*(int *)NLMSG_DATA(one) : 0;
      if (error != 0 && refused == 0) refused = error;
      if (one->nlmsg_type == RTM_NEWLINK && link != NULL) see(link, one);
      if (one->nlmsg_type != RTM_NEWADDR) answers--;
    }
  }
  return refused;
}

static int netlink(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) fail("socket");
  return fd;
}

static const struct ifinfomsg ANY;
static const struct ifinfomsg UP = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};

static void begin_get(const char *name) {
  begin(RTM_GETLINK, 0, &ANY, sizeof ANY);
  text_attribute(IFLA_IFNAME, name);
  number_attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

static void begin_address(int index, const uint8_t *address) {
  struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = (uint32_t)index};
  begin(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  attribute(IFA_LOCAL, address, 4);
  attribute(IFA_ADDRESS, address, 4);
  attribute(IFA_BROADCAST, BROADCAST, 4);
}

/* The bridge of the first container. */
static void make_bridge(int fd, struct seen *bridge) {
  begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &UP, sizeof UP);
  text_attribute(IFLA_IFNAME, BRIDGE);
  struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
  text_attribute(IFLA_INFO_KIND, "bridge");
  end(info);
  begin_get(BRIDGE);
  if (ask(fd, 2, bridge) != 0) fail("add bridge");
  begin_address(bridge->index, GATEWAY);
  if (ask(fd, 1, NULL) != 0) fail("add gateway");
}

static void begin_veth(const char *name, int bridge, int container) {
  begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &UP, sizeof UP);
  text_attribute(IFLA_IFNAME, name);
  number_attribute(IFLA_MASTER, (uint32_t)bridge);
  struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
  text_attribute(IFLA_INFO_KIND, "veth");
  struct rtattr *data = attribute(IFLA_INFO_DATA, NULL, 0);
  struct rtattr *peer = attribute(VETH_INFO_PEER, NULL, 0);
  append(&ANY, sizeof ANY);
  text_attribute(IFLA_IFNAME, variable("CNI_IFNAME"));
  number_attribute(IFLA_NET_NS_FD, (uint32_t)container);
  end(peer);
  end(data);
  end(info);
}

/* Address, mark and up, default route, and what the interface is: one send. */
static void configure(int fd, uint32_t index, const uint8_t *address, struct seen *link) {
  begin_address((int)index, address);
  struct ifinfomsg up = UP;
  up.ifi_index = (int)index;
  begin(RTM_NEWLINK, NLM_F_ACK, &up, sizeof up);
  attribute(IFLA_IFALIAS, "cni floor", 9);
  struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST};
  begin(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  number_attribute(RTA_OIF, index);
  attribute(RTA_GATEWAY, GATEWAY, 4);
  begin_get(variable("CNI_IFNAME"));
  if (ask(fd, 4, link) != 0) fail("configure");
}

/* --- the two verbs --- */

static const char *host_end(void) {
  uint32_t hash = 5381;
  for (const char *at = variable("CNI_CONTAINERID"); *at != '\0'; at++) hash = hash * 33 + (uint8_t)*at;
  return path("veth%08x", hash);
}

/* The next free address of the range, written down. */
static void lease(const char *folder, uint8_t *address) {
  int held = lock(folder);
  char last[512];
  snprintf(last, sizeof last, "%s/last_reserved_ip.0", folder);
  unsigned high = 0;
  unsigned low = 1;
  sscanf(get(last), "10.77.%u.%u", &high, &low);
  unsigned number = high * 256 + low;
  int fd;
  do {
    number = number >= 65000 ? 2 : number + 1;
    fd = open(path("%s/10.77.%u.%u", folder, number >> 8, number & 255), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  } while (fd < 0);
  dprintf(fd, "%s\r\n%s", variable("CNI_CONTAINERID"), variable("CNI_IFNAME"));
  close(fd);
  const char *text = path("10.77.%u.%u", number >> 8, number & 255);
  put(last, O_CREAT | O_TRUNC, text);
  put(path("%s/.%s", folder, variable("CNI_CONTAINERID")), O_CREAT | O_TRUNC, text);
  close(held);
  memcpy(address, (uint8_t[4]){10, 77, (uint8_t)(number >> 8), (uint8_t)number}, 4);
}

static void record(const char *entry) {
  const char *unfinished = path("%s.tmp", entry);
  put(unfinished, O_CREAT | O_TRUNC, "{\"plugin\":\"bridge\",\"bridge\":\"" BRIDGE "\",\"hostEnd\":\"veth00000000\"}\n");
  if (rename(unfinished, entry) < 0) fail("rename");
}

static void answer(const struct seen links[3], const char *host, const uint8_t *address) {
  printf(
      "{\"cniVersion\": \"1.0.0\", \"interfaces\": [{\"name\": \"" BRIDGE "\", \"mac\": \"%s\"}, {\"name\": \"%s\", \"mac\": \"%s\"}, "
      "{\"name\": \"%s\", \"mac\": \"%s\", \"sandbox\": \"%s\"}], \"ips\": [{\"interface\": 2, \"address\": \"%u.%u.%u.%u/16\", "
      "\"gateway\": \"10.77.0.1\"}], \"routes\": [{\"dst\": \"0.0.0.0/0\"}], \"dns\": {}}\n",
      links[0].mac, host, links[1].mac, variable("CNI_IFNAME"), links[2].mac, variable("CNI_NETNS"), address[0], address[1], address[2],
      address[3]);
  fflush(stdout);
}

static void add(const char *folder, const char *entry) {
  int container = open_or_fail(variable("CNI_NETNS"), O_RDONLY);
  record(entry);
  uint8_t address[4];
  lease(folder, address);
  struct seen links[3] = {0};
  char host[16];
  snprintf(host, sizeof host, "%s", host_end());

  int fd = netlink();
  begin_get(BRIDGE);
  if (ask(fd, 1, &links[0]) != 0) make_bridge(fd, &links[0]);
  begin_veth(host, links[0].index, container);
  begin_get(host);
  if (ask(fd, 2, &links[1]) != 0) fail("add veth");
  put(path("/proc/sys/net/ipv6/conf/%s/accept_ra", host), 0, "0");
  if (get("/proc/sys/net/ipv4/ip_forward")[0] != '1') put("/proc/sys/net/ipv4/ip_forward", 0, "1");

  if (setns(container, CLONE_NEWNET) < 0) fail("setns");
  put(path("/proc/sys/net/ipv4/conf/%s/arp_notify", variable("CNI_IFNAME")), 0, "1");
  put(path("/proc/sys/net/ipv6/conf/%s/ndisc_notify", variable("CNI_IFNAME")), 0, "1");
  configure(netlink(), links[1].peer, address, &links[2]);
  answer(links, host, address);
}

static void del(const char *folder, const char *entry) {
  int fd = netlink();
  begin(RTM_DELLINK, NLM_F_ACK, &ANY, sizeof ANY);
  text_attribute(IFLA_IFNAME, host_end());
  ask(fd, 1, NULL);
  int held = lock(folder);
  const char *owner = path("%s/.%s", folder, variable("CNI_CONTAINERID"));
  const char *address = get(owner);
  if (address[0] != '\0') unlink(path("%s/%s", folder, address));
  unlink(owner);
  close(held);
  unlink(entry);
}

int main(void) {
  const char *command = variable("CNI_COMMAND");
  if (command[0] == '\0') _exit(0);
  ssize_t length = read(0, input, sizeof input - 1);
  static const char key[] = "\"dataDir\":\"";
  const char *found = length > 0 ? strstr(input, key) : NULL;
  if (found == NULL) fail("read configuration");
  static char folder[256];
  snprintf(folder, sizeof folder, "%.*s", (int)strcspn(found + strlen(key), "\""), found + strlen(key));
  const char *entry = path(STATE "/floor-%s", variable("CNI_CONTAINERID"));
  static char kept[512];
  snprintf(kept, sizeof kept, "%s", entry);
  if (strcmp(command, "ADD") == 0) {
    mkdir(folder, 0700);
    mkdir(STATE, 0700);
    add(folder, kept);
  } else if (strcmp(command, "DEL") == 0) {
    del(folder, kept);
  } else {
    fail("only ADD and DEL are here");
  }
  _exit(0);
}

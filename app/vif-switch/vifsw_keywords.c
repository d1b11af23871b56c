/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The grammar: one table of keywords, and what each of them does. See vifsw_config.h.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "vifsw_parser.h"

#define MIN_MTU 68 /* RFC 791: what every IPv4 module must forward */
#define MAX_WAIT_US 1000000
#define MAX_FLOOD_MBPS 1000000
#define MAX_BURST_KIB 1048576
#define MAX_MEMORY_MIB (1u << 20)
#define MAX_REGIONS 4096
#define MAX_DOMID 32751u /* above are ids with a meaning of their own */

/* --- Options of a VIF --- */

static void
parse_mac(struct vifsw_parser *p)
{
	const char *word = vifsw_take(p);

	if (word == NULL)
		return;
	p->have_mac = true; /* a wrong one is reported as wrong, not also as missing */
	vifsw_value_mac(p, word, &p->vif.port.mac);
}

static void
parse_allow(struct vifsw_parser *p)
{
	struct vsw_vif_conf *port = &p->vif.port;
	const char *word = vifsw_take(p);

	if (word == NULL)
		return;
	if (strcmp(word, "any") == 0) {
		port->allow_any = true;
		return;
	}
	if (port->nb_allow == VSW_MAX_MACS) {
		vifsw_error(p, "allow: more than %u addresses", VSW_MAX_MACS);
		return;
	}
	if (vifsw_value_mac(p, word, &port->allow[port->nb_allow]))
		port->nb_allow++;
}

static void
parse_mtu(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "bytes", MIN_MTU, VIFSW_MAX_MTU, &value))
		p->vif.port.mtu = (uint32_t)value;
}

static void
parse_max_mtu(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "bytes", MIN_MTU, VIFSW_MAX_MTU, &value))
		p->vif.port.max_mtu = (uint32_t)value;
}

static void
parse_queues(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "", 1, NFED_MAX_CHANNELS, &value))
		p->vif.max_queues = (unsigned int)value;
}

static void
parse_weight(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "", 1, VSW_MAX_WEIGHT, &value))
		p->vif.port.weight = (unsigned int)value;
}

static void
parse_rate_mbps(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "Mbit/s", 1, VSW_MAX_RATE_MBPS, &value))
		p->vif.port.rate_mbps = (unsigned int)value;
}

static void
parse_burst_kib(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "KiB", 1, MAX_BURST_KIB, &value))
		p->vif.port.burst_kib = (unsigned int)value;
}

static void
parse_socket(struct vifsw_parser *p)
{
	vifsw_value_path(p, p->vif.socket);
}

/* "any", or DOMID/N. */
static void
parse_xen(struct vifsw_parser *p)
{
	const char *word = vifsw_take(p);
	int end = 0;

	if (word == NULL)
		return;
	p->vif.xen = VIFSW_XEN_ANY;
	if (strcmp(word, "any") == 0)
		return;
	p->vif.xen = VIFSW_XEN_ONE;
	if (strspn(word, "0123456789/") != strlen(word) ||
	    sscanf(word, "%5u/%9u%n", &p->vif.xen_domid, &p->vif.xen_number, &end) != 2 ||
	    word[end] != '\0' || p->vif.xen_domid == 0 || p->vif.xen_domid > MAX_DOMID)
		vifsw_error(p, "xen: \"%.*s\" is not \"any\" nor DOMID/N, DOMID from 1 to %u",
			    VIFSW_SHOWN, word, MAX_DOMID);
}

static void
parse_foreign(struct vifsw_parser *p)
{
	vifsw_value_on_off(p, &p->vif.foreign);
}

static void
parse_source_check(struct vifsw_parser *p)
{
	bool on = true;

	if (vifsw_value_on_off(p, &on))
		p->vif.port.no_source_check = !on;
}

static void
parse_promisc(struct vifsw_parser *p)
{
	vifsw_value_on_off(p, &p->vif.port.promisc);
}

static void
parse_msix(struct vifsw_parser *p)
{
	bool on = true;

	if (vifsw_value_on_off(p, &on))
		p->vif.no_msix = !on;
}

static void
parse_offload(struct vifsw_parser *p)
{
	bool on = true;

	if (vifsw_value_on_off(p, &on))
		p->vif.no_offload = !on;
}

static void
parse_regions(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "", 1, MAX_REGIONS, &value))
		p->vif.max_regions = (unsigned int)value;
}

static void
parse_inline_max(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "bytes", NFE_INLINE_ONE, VSW_INLINE_MAX, &value))
		p->vif.inline_max = (unsigned int)value;
}

static void
parse_memory_mib(struct vifsw_parser *p)
{
	vifsw_value_number(p, "MiB", 1, MAX_MEMORY_MIB, &p->vif.memory_mib);
}

static void
parse_count(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "", 1, VIFSW_MAX_VIFS, &value))
		p->count = (unsigned int)value;
	else
		p->count = 1; /* reported as wrong, not also as missing */
}

/* --- Options of an uplink --- */

static void
parse_port(struct vifsw_parser *p)
{
	const char *word = vifsw_take(p);
	size_t len;

	if (word == NULL)
		return;
	len = strlen(word);
	if (len >= VIFSW_ETHDEV_NAME_MAX)
		vifsw_error(p, "port: name of %zu characters, limit %u", len,
			    VIFSW_ETHDEV_NAME_MAX - 1);
	snprintf(p->uplink.ethdev, sizeof(p->uplink.ethdev), "%s", word);
}

static void
parse_learning(struct vifsw_parser *p)
{
	vifsw_value_on_off(p, &p->uplink.learning);
}

static void
parse_uplink_offload(struct vifsw_parser *p)
{
	vifsw_value_on_off(p, &p->uplink.offload);
}

/* --- Statements --- */

static void
parse_socket_dir(struct vifsw_parser *p)
{
	vifsw_value_path(p, p->config->socket_dir);
}

static void
parse_mode(struct vifsw_parser *p)
{
	vifsw_value_octal(p, 0777, &p->config->mode);
}

static void
parse_wait(struct vifsw_parser *p, unsigned int *us)
{
	uint64_t value;

	if (vifsw_value_number(p, "us", 1, MAX_WAIT_US, &value))
		*us = (unsigned int)value;
}

static void
parse_idle_us(struct vifsw_parser *p)
{
	parse_wait(p, &p->config->idle_us);
}

static void
parse_shared_idle_us(struct vifsw_parser *p)
{
	parse_wait(p, &p->config->shared_idle_us);
}

static void
parse_flood_mbps(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "Mbit/s", 1, MAX_FLOOD_MBPS, &value))
		p->config->flood_mbps = (unsigned int)value;
}

static void
parse_burst(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "cells", VSW_MIN_BURST, VSW_MAX_BURST, &value))
		p->config->burst = (unsigned int)value;
}

static void
parse_uplink_poll_us(struct vifsw_parser *p)
{
	parse_wait(p, &p->config->uplink_poll_us);
}

static void
parse_max_vifs(struct vifsw_parser *p)
{
	uint64_t value;

	if (vifsw_value_number(p, "", 1, VIFSW_MAX_VIFS, &value))
		p->config->max_vifs = (unsigned int)value;
}

static void
parse_uplink(struct vifsw_parser *p)
{
	struct vifsw_config *config = p->config;
	const char *word = vifsw_take(p);

	memset(&p->uplink, 0, sizeof(p->uplink));
	p->uplink.line = p->line;
	if (word == NULL || !vifsw_value_name(p, word, p->uplink.name))
		return;
	vifsw_options(p, VIFSW_UPLINK_OPTION);
	if (p->uplink.ethdev[0] == '\0') {
		vifsw_error(p, "uplink %s: port missing, for example \"port net_af_packet0\"",
			    p->uplink.name);
		return;
	}
	if (config->nb_uplinks == VIFSW_MAX_UPLINKS) {
		vifsw_error(p, "uplink %s: more than %u uplinks", p->uplink.name, VIFSW_MAX_UPLINKS);
		return;
	}
	config->uplinks[config->nb_uplinks++] = p->uplink;
}

/* What "vif" and "vifs" share: name, options, and what must hold within the line. */
static bool
parse_vif_line(struct vifsw_parser *p, unsigned int scope)
{
	struct vsw_vif_conf *port = &p->vif.port;
	const char *word = vifsw_take(p), *what = p->keyword->name;

	memset(&p->vif, 0, sizeof(p->vif));
	p->vif.line = p->line;
	p->have_mac = false;
	p->count = 0;
	port->mtu = VIFSW_DEFAULT_MTU;
	port->max_mtu = VIFSW_MAX_MTU;
	if (word == NULL || !vifsw_value_name(p, word, port->name))
		return false;
	vifsw_options(p, scope);
	if (!p->have_mac)
		vifsw_error(p, "%s %s: mac missing", what, port->name);
	if (p->vif.xen != VIFSW_XEN_NONE && p->vif.socket[0] != '\0')
		vifsw_error(p, "%s %s: socket and xen exclude each other", what, port->name);
	if (port->burst_kib != 0 && port->rate_mbps == 0)
		vifsw_error(p, "%s %s: burst-kib without rate-mbps", what, port->name);
	if (p->vif.foreign && p->vif.xen == VIFSW_XEN_NONE)
		vifsw_error(p, "%s %s: foreign is for VIFs with xen", what, port->name);
	if (port->mtu > port->max_mtu)
		vifsw_error(p, "%s %s: mtu %u exceeds max-mtu %u", what, port->name, port->mtu,
			    port->max_mtu);
	return true;
}

static void
parse_vif(struct vifsw_parser *p)
{
	if (parse_vif_line(p, VIFSW_VIF_OPTION))
		vifsw_config_add(p, &p->vif);
}

static void
number_to_mac(uint64_t number, struct rte_ether_addr *mac)
{
	for (unsigned int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		mac->addr_bytes[i] = (uint8_t)(number >> 8 * (RTE_ETHER_ADDR_LEN - 1 - i));
}

/* PREFIX0, PREFIX1, ... with the MAC counting up. */
static void
parse_vifs(struct vifsw_parser *p)
{
	char prefix[VSW_NAME_LEN], digits[16];
	struct vsw_vif_conf *port = &p->vif.port;
	uint64_t base;

	if (!parse_vif_line(p, VIFSW_VIFS_OPTION))
		return;
	if (p->count == 0) {
		vifsw_error(p, "vifs %s: count missing", port->name);
		return;
	}
	memcpy(prefix, port->name, sizeof(prefix));
	snprintf(digits, sizeof(digits), "%u", p->count - 1);
	if (strlen(prefix) + strlen(digits) >= VSW_NAME_LEN) {
		vifsw_error(p, "vifs %s: name %s%s of %zu characters, limit %u", prefix, prefix, digits,
			    strlen(prefix) + strlen(digits), VSW_NAME_LEN - 1);
		return;
	}
	base = vifsw_mac_number(&port->mac);
	if (base == 0)
		return; /* reported */
	if (base >> 40 != (base + p->count - 1) >> 40) {
		vifsw_error(p, "vifs %s: %u addresses from the base on change its first byte", prefix,
			    p->count);
		return;
	}
	for (unsigned int i = 0; i < p->count; i++) {
		snprintf(digits, sizeof(digits), "%u", i);
		memcpy(port->name, prefix, sizeof(prefix));
		strcat(port->name, digits);
		number_to_mac(base + i, &port->mac);
		if (!vifsw_config_add(p, &p->vif))
			return;
	}
}

/* --- The grammar --- */

#define STATEMENT VIFSW_STATEMENT
#define ANY_VIF (VIFSW_VIF_OPTION | VIFSW_VIFS_OPTION)
static const struct vifsw_keyword keywords[] = {
	{ "socket-dir", STATEMENT, false, "DIR",
	  "directory of the sockets DIR/NAME.sock and of the lock, default "
	  VIFSW_DEFAULT_SOCKET_DIR, parse_socket_dir },
	{ "mode", STATEMENT, false, "OCTAL", "permissions of the sockets, default 0600", parse_mode },
	{ "max-vifs", STATEMENT, false, "N", "VIFs that may be configured, 1-4096, default 1024",
	  parse_max_vifs },
	{ "idle-us", STATEMENT, false, "N",
	  "a channel without work for N microseconds goes idle, 1-1000000, default 200",
	  parse_idle_us },
	{ "shared-idle-us", STATEMENT, false, "N",
	  "the same while others want the CPU of the lcore, never above idle-us, 1-1000000, default 5",
	  parse_shared_idle_us },
	{ "uplink-poll-us", STATEMENT, false, "N",
	  "how often a sleeping lcore looks at uplinks, 1-1000000, default 100",
	  parse_uplink_poll_us },
	{ "burst", STATEMENT, false, "N",
	  "cells that an lcore takes from a send queue at once, 16-128, default 64", parse_burst },
	{ "flood-mbps", STATEMENT, false, "N",
	  "copies of broadcast, multicast and unknown frames that one port may cause, in Mbit/s,"
	  " 1-1000000, default 1000", parse_flood_mbps },
	{ "uplink", STATEMENT, true, "NAME port ETHDEV [OPTION]...", "a port to the outside",
	  parse_uplink },
	{ "vif", STATEMENT, true, "NAME mac MAC [OPTION]...", "a VIF, one guest's port",
	  parse_vif },
	{ "vifs", STATEMENT, true, "PREFIX count N mac MAC [OPTION]...",
	  "N VIFs: PREFIX0, PREFIX1, ... whose addresses count up from MAC", parse_vifs },
	{ "port", VIFSW_UPLINK_OPTION, false, "ETHDEV", "DPDK's name of the device, as in --vdev",
	  parse_port },
	{ "learning", VIFSW_UPLINK_OPTION, false, "on|off",
	  "learn the addresses behind this uplink, default off", parse_learning },
	{ "offload", VIFSW_UPLINK_OPTION, false, "on|off",
	  "checksums and segmentation are left to the device, as far as it can, default off",
	  parse_uplink_offload },
	{ "count", VIFSW_VIFS_OPTION, false, "N", "how many VIFs, 1-4096", parse_count },
	{ "mac", ANY_VIF, false, "MAC", "the VIF's own address, xx:xx:xx:xx:xx:xx", parse_mac },
	{ "allow", ANY_VIF, true, "MAC|any",
	  "further address that the guest may take; any: every address that nobody has",
	  parse_allow },
	{ "mtu", ANY_VIF, false, "N", "MTU at the start, 68-9000 bytes, default 1500", parse_mtu },
	{ "max-mtu", ANY_VIF, false, "N", "MTU that the guest may set, 68-9000 bytes, default 9000",
	  parse_max_mtu },
	{ "queues", ANY_VIF, false, "N", "queue pairs that the guest may use, 1-64, default 16",
	  parse_queues },
	{ "weight", ANY_VIF, false, "N", "share of an lcore's time among busy VIFs, 1-16, default 1",
	  parse_weight },
	{ "rate-mbps", ANY_VIF, false, "N",
	  "limit of what the guest sends, in Mbit/s of frames, 1-100000, default none: more stays in"
	  " its send queues", parse_rate_mbps },
	{ "burst-kib", ANY_VIF, false, "N",
	  "what it may send at once, 1-1048576 KiB, default 10 ms of rate-mbps, 64 at least",
	  parse_burst_kib },
	{ "socket", VIFSW_VIF_OPTION, false, "PATH", "instead of DIR/NAME.sock", parse_socket },
	{ "xen", VIFSW_VIF_OPTION, false, "any|DOMID/N",
	  "no socket: a Xen domain's, the one given to \"vif-ctl xen attach\" or only device N of"
	  " DOMID", parse_xen },
	{ "foreign", VIFSW_VIF_OPTION, false, "on|off",
	  "with xen: memory of the domain may be mapped that it did not grant, if"
	  " \"vif-ctl xen attach --foreign\" says so too, default off", parse_foreign },
	{ "source-check", ANY_VIF, false, "on|off",
	  "drop frames from addresses that are not the VIF's, default on", parse_source_check },
	{ "promisc", ANY_VIF, false, "on|off",
	  "promiscuous mode shows the guest unknown unicast, default off", parse_promisc },
	{ "msix", ANY_VIF, false, "on|off",
	  "a VM sees MSI-X interrupts, default on; off: QEMU can unplug the device", parse_msix },
	{ "offload", ANY_VIF, false, "on|off",
	  "checksums and segmentation are passed on to those who take them, default on",
	  parse_offload },
	{ "inline-max", ANY_VIF, false, "N",
	  "longest frame that travels in the cells of a queue, 60-572 bytes, default 316",
	  parse_inline_max },
	{ "regions", ANY_VIF, false, "N", "memory regions of the guest, 1-4096, default 256",
	  parse_regions },
	{ "memory-mib", ANY_VIF, false, "N",
	  "memory that the guest may register, 1-1048576 MiB, default 8192", parse_memory_mib },
};
#define NB_KEYWORDS (sizeof(keywords) / sizeof(keywords[0]))
static_assert(NB_KEYWORDS <= VIFSW_MAX_KEYWORDS, "bits of struct vifsw_parser.seen");

const struct vifsw_keyword *
vifsw_keyword(unsigned int i)
{
	return i < NB_KEYWORDS ? &keywords[i] : NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * From configuration to ports: an uplink is an ethdev, a VIF is a port of the switch with a
 * function behind a socket of its own. Control thread; what a failed port leaves behind is taken
 * down by vifsw_ports_close().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "vifsw.h"

#define FEATURES (NFE_F_RING_MODE | NFE_F_EVENT_IDX | NFE_F_INLINE_LONG | NFE_F_MULTI_SEG | \
		  NFE_F_RSS | NFE_F_VLAN_FILTER)
#define OFFLOADS (NFE_F_CSUM_TO_DEVICE | NFE_F_CSUM_TO_HOST | NFE_F_GSO_TO_DEVICE | \
		  NFE_F_GSO_TO_HOST | NFE_F_CSUM_OK)
#define TRIGGERS_EXTRA 256 /* beyond the one entry that each function has for sure */
#define FRAME_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN) /* of a frame without FCS */
#define BYTES_PER_MIB (UINT64_C(1) << 20)

/* The attachment's callback knows only the port: the one daemon of this process. */
static struct vifsw *daemon_state;

static void
on_attached(void *owner, bool attached, const char *why)
{
	struct vsw_port *port = owner;
	struct vifsw *s = daemon_state;

	if (attached) {
		s->nb_attached++;
		vsw_port_logf(port, false, "guest attached");
	} else {
		s->nb_attached--;
		vsw_port_logf(port, false, "guest detached%s%s", why[0] != '\0' ? ": " : "", why);
	}
	vifsw_control_pace(s);
}

static void
set_limits(struct nfed_limits *limits, const struct vifsw_vif *conf,
	   const struct nfed_share *share)
{
	*limits = nfed_limits_default;
	limits->region.max_mappings = share->max_mappings;
	limits->max_mtu = conf->port.max_mtu;
	limits->max_frame = conf->port.max_mtu + FRAME_OVERHEAD;
	if (conf->max_queues != 0)
		limits->max_channels = (uint16_t)conf->max_queues;
	if (conf->max_regions != 0)
		limits->region.max_regions = conf->max_regions;
	if (conf->inline_max != 0)
		limits->inline_to_device = limits->inline_to_host = (uint16_t)conf->inline_max;
	if (conf->memory_mib != 0)
		limits->region.max_bytes = conf->memory_mib * BYTES_PER_MIB;
}

static int
attach(struct vifsw *s, struct vifsw_guest *guest)
{
	const struct vifsw_vif *conf = guest->conf;
	struct nfed_vfio_user_conf c = {
		.path = conf->socket,
		.mode = s->config->mode,
		.no_msix = conf->no_msix,
		.loop = s->loop,
		.dma = s->share.dma,
		.function.features = FEATURES | (conf->no_offload ? 0 : OFFLOADS),
		.function.owner_ops = &vsw_owner_ops,
		.function.owner = guest->port,
		.attached = on_attached,
	};
	int rc;

	memcpy(c.function.mac, conf->port.mac.addr_bytes, sizeof(c.function.mac));
	set_limits(&c.function.limits, conf, &s->share);
	c.dma.max_ahead = c.function.limits.region.max_bytes;
	if (conf->xen != VIFSW_XEN_NONE)
		return vifsw_xen_attach(s, guest, &c.function, on_attached);
	c.function.triggers = s->triggers;
	rc = nfed_vfio_user_create(&c, &guest->att);
	if (rc != 0) {
		vifsw_log_error("vif %s: socket %s: %s", conf->port.name, conf->socket, strerror(-rc));
		return rc;
	}
	vsw_vif_bind(guest->port, nfed_vfio_user_function(guest->att),
		     nfed_vfio_user_data_kick_fd(guest->att));
	return 0;
}

static int
add_vif(struct vifsw *s, const struct vifsw_vif *conf)
{
	struct vifsw_guest *guest = &s->guests[s->nb_guests];
	int rc;

	*guest = (struct vifsw_guest){ .conf = conf };
	rc = vsw_vif_add(s->sw, &conf->port, &guest->port);
	if (rc != 0) {
		vifsw_log_error("vif %s: cannot be added: %s", conf->port.name, strerror(-rc));
		return rc;
	}
	s->nb_guests++;
	return attach(s, guest);
}

static int
add_uplink(struct vifsw *s, const struct vifsw_uplink *conf)
{
	struct vsw_uplink_conf c = { .learning = conf->learning, .offload = conf->offload };
	struct vsw_port *port;
	int rc;

	memcpy(c.name, conf->name, sizeof(c.name));
	rc = rte_eth_dev_get_port_by_name(conf->ethdev, &c.ethdev);
	if (rc != 0) {
		vifsw_log_error("uplink %s: no port \"%s\"; the EAL makes it, for example by"
				" --vdev=net_af_packet0,iface=eth1", conf->name, conf->ethdev);
		return rc;
	}
	rc = vsw_uplink_add(s->sw, &c, &port);
	if (rc != 0) {
		vifsw_log_error("uplink %s: port %s cannot be started: %s", conf->name, conf->ethdev,
				strerror(-rc));
		return rc;
	}
	s->nb_learning += conf->learning;
	return 0;
}

int
vifsw_ports_open(struct vifsw *s)
{
	const struct vifsw_config *config = s->config;
	int rc = vifsw_share(config, &s->share);

	if (rc != 0)
		return rc;
	daemon_state = s;
	s->guests = calloc(config->nb_vifs + 1, sizeof(*s->guests));
	if (s->guests == NULL) {
		vifsw_log_error("no memory for %u VIFs", config->nb_vifs);
		return -ENOMEM;
	}
	rc = nfed_triggers_create(s->loop, config->nb_vifs, TRIGGERS_EXTRA, &s->triggers);
	if (rc != 0)
		vifsw_log_error("queue of triggers cannot be made: %s", strerror(-rc));
	for (unsigned int i = 0; i < config->nb_uplinks && rc == 0; i++)
		rc = add_uplink(s, &config->uplinks[i]);
	for (unsigned int i = 0; i < config->nb_vifs && rc == 0; i++)
		rc = add_vif(s, &config->vifs[i]);
	if (rc != 0)
		vifsw_ports_close(s);
	return rc;
}

/* A function leaves its channels before its port goes. Uplinks go with the switch. */
void
vifsw_ports_close(struct vifsw *s)
{
	while (s->nb_guests > 0) {
		struct vifsw_guest *guest = &s->guests[--s->nb_guests];

		if (guest->att != NULL)
			nfed_vfio_user_destroy(guest->att);
		nfed_xen_vif_destroy(guest->xen);
		vsw_vif_remove(guest->port);
	}
	vifsw_xen_close(s);
	nfed_triggers_destroy(s->triggers);
	s->triggers = NULL;
	free(s->guests);
	s->guests = NULL;
}

struct vifsw_guest *
vifsw_guest_find(struct vifsw *s, const char *name)
{
	for (unsigned int i = 0; i < s->nb_guests; i++)
		if (strcmp(s->guests[i].conf->port.name, name) == 0)
			return &s->guests[i];
	return NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What must hold between the lines of a configuration: unique names, addresses, sockets and
 * devices, path lengths, the limit of VIFs. By sorting, because there may be 4096 VIFs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vifsw_parser.h"

struct used_text { /* a name or path that only one line may use */
	const char *text;
	unsigned int line;
};

struct used_mac {
	uint64_t number;
	const struct vifsw_vif *vif;
	bool allowed; /* by "allow", not the VIF's own */
};

uint64_t
vifsw_mac_number(const struct rte_ether_addr *mac)
{
	uint64_t number = 0;

	for (unsigned int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		number = number << 8 | mac->addr_bytes[i];
	return number;
}

static int
compare_text(const void *a, const void *b)
{
	const struct used_text *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static void
check_unique(struct vifsw_parser *p, const char *what, struct used_text *used, unsigned int n)
{
	qsort(used, n, sizeof(*used), compare_text);
	for (unsigned int i = 1; i < n; i++)
		if (strcmp(used[i - 1].text, used[i].text) == 0)
			vifsw_error_at(p, used[i].line, "%s %s already used on line %u", what,
				       used[i].text, used[i - 1].line);
}

/* Own addresses first: what others may take is compared with them. */
static int
compare_mac(const void *a, const void *b)
{
	const struct used_mac *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->allowed != y->allowed)
		return x->allowed ? 1 : -1;
	return (x->vif > y->vif) - (x->vif < y->vif);
}

/* Two VIFs may be allowed the same address: who takes it first has it. */
static void
check_mac_pair(struct vifsw_parser *p, const struct used_mac *own, const struct used_mac *other)
{
	char mac[VIFSW_MAC_TEXT];

	if (own->vif == other->vif)
		return;
	vifsw_mac_format(&own->vif->port.mac, mac);
	if (other->allowed)
		vifsw_error_at(p, other->vif->line, "allow %s: is the address of vif %s on line %u",
			       mac, own->vif->port.name, own->vif->line);
	else
		vifsw_error_at(p, other->vif->line, "vif %s: mac %s already used by vif %s on line %u",
			       other->vif->port.name, mac, own->vif->port.name, own->vif->line);
}

static void
check_macs(struct vifsw_parser *p)
{
	struct vifsw_config *config = p->config;
	unsigned int n = 0, room = 0, own = 0;
	struct used_mac *used;

	for (unsigned int i = 0; i < config->nb_vifs; i++)
		room += 1 + config->vifs[i].port.nb_allow;
	used = calloc(room + 1, sizeof(*used));
	if (used == NULL) {
		vifsw_error_at(p, 0, "no memory for %u addresses", room);
		return;
	}
	for (unsigned int i = 0; i < config->nb_vifs; i++) {
		const struct vifsw_vif *vif = &config->vifs[i];

		if (!rte_is_zero_ether_addr(&vif->port.mac)) /* zero: reported before */
			used[n++] = (struct used_mac){ vifsw_mac_number(&vif->port.mac), vif, false };
		for (unsigned int j = 0; j < vif->port.nb_allow; j++)
			used[n++] = (struct used_mac){ vifsw_mac_number(&vif->port.allow[j]), vif, true };
	}
	qsort(used, n, sizeof(*used), compare_mac);
	for (unsigned int i = 1; i < n; i++) {
		if (used[i].number != used[own].number)
			own = i;
		else if (!used[own].allowed)
			check_mac_pair(p, &used[own], &used[i]);
	}
	free(used);
}

static void
set_default_socket(struct vifsw_parser *p, struct vifsw_vif *vif)
{
	int len;

	if (vif->socket[0] != '\0' || vif->xen != VIFSW_XEN_NONE)
		return;
	len = snprintf(vif->socket, sizeof(vif->socket), "%s/%s.sock", p->config->socket_dir,
		       vif->port.name);
	if (len >= (int)sizeof(vif->socket))
		vifsw_error_at(p, vif->line, "vif %s: socket path %s/%s.sock of %d characters, limit %u",
			       vif->port.name, p->config->socket_dir, vif->port.name, len,
			       VIFSW_PATH_MAX - 1);
}

static void
check_names_and_sockets(struct vifsw_parser *p)
{
	struct vifsw_config *config = p->config;
	unsigned int nb_ports = config->nb_vifs + config->nb_uplinks;
	struct used_text *used = calloc(nb_ports + 1, sizeof(*used));

	if (used == NULL) {
		vifsw_error_at(p, 0, "no memory for %u names", nb_ports);
		return;
	}
	for (unsigned int i = 0; i < config->nb_vifs; i++)
		used[i] = (struct used_text){ config->vifs[i].port.name, config->vifs[i].line };
	for (unsigned int i = 0; i < config->nb_uplinks; i++)
		used[config->nb_vifs + i] =
			(struct used_text){ config->uplinks[i].name, config->uplinks[i].line };
	check_unique(p, "name", used, nb_ports);
	/* Equal names make equal default paths: reported once, as names. */
	if (p->nb_errors == 0) {
		unsigned int n = 0;

		for (unsigned int i = 0; i < config->nb_vifs; i++)
			if (config->vifs[i].socket[0] != '\0')
				used[n++] = (struct used_text){ config->vifs[i].socket,
								config->vifs[i].line };
		check_unique(p, "socket", used, n);
	}
	for (unsigned int i = 0; i < config->nb_uplinks; i++)
		used[i] = (struct used_text){ config->uplinks[i].ethdev, config->uplinks[i].line };
	check_unique(p, "port", used, config->nb_uplinks);
	free(used);
}

/* Few VIFs name their device; those that do are compared with each other. */
static void
check_xen_devices(struct vifsw_parser *p)
{
	const struct vifsw_config *config = p->config;

	for (unsigned int i = 0; i < config->nb_vifs; i++) {
		const struct vifsw_vif *a = &config->vifs[i];

		for (unsigned int j = 0; a->xen == VIFSW_XEN_ONE && j < i; j++) {
			const struct vifsw_vif *b = &config->vifs[j];

			if (b->xen == VIFSW_XEN_ONE && b->xen_domid == a->xen_domid &&
			    b->xen_number == a->xen_number)
				vifsw_error_at(p, a->line, "xen %u/%u already used on line %u",
					       a->xen_domid, a->xen_number, b->line);
		}
	}
}

void
vifsw_validate(struct vifsw_parser *p)
{
	struct vifsw_config *config = p->config;

	for (unsigned int i = 0; i < config->nb_vifs; i++)
		set_default_socket(p, &config->vifs[i]);
	check_names_and_sockets(p);
	check_macs(p);
	check_xen_devices(p);
	if (config->nb_vifs > config->max_vifs)
		vifsw_error_at(p, config->vifs[config->max_vifs].line,
			       "vif %s: %u VIFs configured, limit %u (raise max-vifs)",
			       config->vifs[config->max_vifs].port.name, config->nb_vifs,
			       config->max_vifs);
}

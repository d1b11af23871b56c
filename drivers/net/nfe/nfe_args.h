/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Device arguments of a port. Those of a vdev say where the function is; a PCI function is where
 * it is, its arguments stand behind its address: "-a 0000:01:00.0,queues=2".
 */
#ifndef NFE_ARGS_H
#define NFE_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <rte_ether.h>

#define NFE_ARG_SOCKET "socket" /* vdev only */
#define NFE_ARG_XEN "xen"       /* vdev only */
#define NFE_ARG_SHARE_KIB "share_kib" /* vdev only */
#define NFE_ARG_QUEUES "queues"
#define NFE_ARG_MAC "mac"
#define NFE_ARG_INLINE "inline"
#define NFE_ARG_FIRST_INDEX "first_index" /* for tests: indices start near the wrap */
#define NFE_BUS_PREFIX "vfio-user:"
#define NFE_XEN_PREFIX "xen:"

#define NFE_ARGS_TEXT NFE_ARG_QUEUES "=<1..16> " \
	NFE_ARG_MAC "=<xx:xx:xx:xx:xx:xx> " \
	NFE_ARG_INLINE "=<60..65535> " \
	NFE_ARG_FIRST_INDEX "=<u32>"

struct nfe_args {
	char address[sizeof(NFE_BUS_PREFIX) + sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool pci;        /* EAL has its interrupts */
	bool by_iova;    /* the bus takes DMA addresses, not ours, and adds iova_base */
	uint64_t iova_base;
	uint32_t queues; /* 0: what the device offers */
	uint32_t first_index;
	uint32_t inline_len; /* bytes; frames up to here go in cells; 0: the default */
	uint32_t share_kib; /* of the shared area in copy mode; 0: all EAL memory is shared */
	struct rte_ether_addr mac; /* zero: the device's */
};

/* text may be NULL. 0, or -EINVAL with a line in the log. */
int nfe_args_parse(const char *name, const char *text, bool is_vdev, struct nfe_args *args);

bool nfe_args_physical(void);

#endif /* NFE_ARGS_H */

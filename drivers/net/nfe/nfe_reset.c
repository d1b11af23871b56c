/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * When the driver cannot come back by itself: RTE_ETH_EVENT_INTR_RESET asks the application for
 * rte_eth_dev_reset(), which attaches anew and takes the device as it is now; INTR_RMV says that
 * the PCI function was taken away for good.
 *
 * A socket that hangs up is no removal, however long: the next switch may come at any time.
 *
 * Events come on the host end's control thread or on EAL's interrupt thread, which must not close
 * or reset the port themselves. The reset runs on the control path, the port stopped.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <ethdev_pci.h>
#include <rte_cycles.h>
#include <rte_dev.h>

#include "nfe_bus_pci.h"
#include "nfe_ethdev.h"

#define NFE_UNWATCH_MS 1000u

static void
removed(struct nfe_port *port)
{
	if (!rte_atomic_load_explicit(&port->probed, rte_memory_order_acquire) ||
	    rte_atomic_exchange_explicit(&port->removed, 1, rte_memory_order_acq_rel) != 0)
		return;
	NFE_LOG(NOTICE, "%s: the function was removed", port->name);
	if (port->dev->data->dev_conf.intr_conf.rmv)
		rte_eth_dev_callback_process(port->dev, RTE_ETH_EVENT_INTR_RMV, NULL);
}

/* A function that does not answer may be in the middle of a reset: then the kernel still has it. */
static bool
kernel_has(const struct nfe_port *port)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", rte_pci_get_sysfs_path(), port->name);
	return access(path, F_OK) == 0;
}

/* At each attempt of the host end; the application hears it once. */
void
nfe_refused(void *ctx, int error)
{
	struct nfe_port *port = ctx;

	if (port->pci && error == -ENODEV) {
		if (!kernel_has(port))
			removed(port);
		return;
	}
	if (!rte_atomic_load_explicit(&port->probed, rte_memory_order_acquire) || port->reset_asked)
		return;
	port->reset_asked = 1;
	NFE_LOG(WARNING, "%s: the device does not take over what there is: %s; a reset of the port "
		"may help", port->name, strerror(-error));
	rte_eth_dev_callback_process(port->dev, RTE_ETH_EVENT_INTR_RESET, NULL);
}

/* By a kernel's uevent, if the application monitors them, or by the request notifier of VFIO. */
static void
dev_event(const char *name __rte_unused, enum rte_dev_event_type type, void *arg)
{
	if (type == RTE_DEV_EVENT_REMOVE)
		removed(arg);
}

void
nfe_removal_watch(struct nfe_port *port)
{
	rte_atomic_store_explicit(&port->removed, 0, rte_memory_order_release);
	if (port->pci &&
	    rte_dev_event_callback_register(port->dev->device->name, dev_event, port) < 0)
		NFE_LOG(WARNING, "%s: a removal is seen late", port->name);
}

void
nfe_removal_unwatch(struct nfe_port *port)
{
	const char *name = port->dev->device->name;

	if (!port->pci)
		return;
	for (unsigned int ms = 0; ms < NFE_UNWATCH_MS; ms++) {
		if (rte_dev_event_callback_unregister(name, dev_event, port) != -EAGAIN)
			return;
		rte_delay_us_sleep(1000); /* it runs just now */
	}
	NFE_LOG(ERR, "%s: a removal callback still runs after %u ms", port->name, NFE_UNWATCH_MS);
}

int
nfe_is_removed(struct rte_eth_dev *dev)
{
	return (int)rte_atomic_load_explicit(&nfe_port(dev)->removed, rte_memory_order_acquire);
}

/* Of a port that has lost its function and found no other: it can only try again, or be closed. */
static const struct eth_dev_ops lost_ops = {
	.dev_close = nfe_close,
	.dev_reset = nfe_dev_reset,
	.is_removed = nfe_is_removed,
};

int
nfe_dev_reset(struct rte_eth_dev *dev)
{
	struct nfe_args args = nfe_port(dev)->args;
	int ret;

	nfe_close(dev);
	memset(nfe_port(dev), 0, sizeof(struct nfe_port)); /* as probe finds it */
	memset(dev->data->mac_addrs, 0, NFE_MAX_MACS * sizeof(dev->data->mac_addrs[0]));
	dev->data->nb_rx_queues = 0;
	dev->data->nb_tx_queues = 0;
	if (args.pci)
		nfe_bus_pci_address(nfe_pci_device(dev), args.address, sizeof(args.address));
	ret = nfe_port_init(dev, &args);
	if (ret == 0)
		return 0;
	NFE_LOG(ERR, "%s: reset: not attached again: %s", nfe_port(dev)->name, strerror(-ret));
	dev->dev_ops = &lost_ops;
	return ret;
}

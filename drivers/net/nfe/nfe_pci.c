/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Probe and remove of a PCI function: of a VM whose monitor speaks vfio-user, or of a card.
 *
 *	-a 0000:01:00.0[,queues=N][,mac=XX:XX:XX:XX:XX:XX][,inline=N][,first_index=N]
 *
 * The function must be bound to vfio-pci, or to uio_pci_generic, which has no interrupts.
 */
#include <errno.h>
#include <string.h>

#include <ethdev_pci.h>

#include <nfe_regs.h>

#include "nfe_args.h"
#include "nfe_bus_pci.h"
#include "nfe_ethdev.h"
#include "nfe_mp.h"

/* 2.1: the subsystem makes it ours, whatever else may use the device id. */
static const struct rte_pci_id nfe_pci_ids[] = {
	{ .class_id = RTE_CLASS_ANY_ID, .vendor_id = NFE_PCI_VENDOR, .device_id = NFE_PCI_DEVICE,
	  .subsystem_vendor_id = NFE_PCI_SUBVENDOR, .subsystem_device_id = NFE_PCI_SUBDEVICE },
	{ .vendor_id = 0 },
};

static int
nfe_pci_init(struct rte_eth_dev *dev)
{
	struct rte_pci_device *pci = nfe_pci_device(dev);
	struct nfe_args args;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return nfe_secondary_init(dev);
	ret = nfe_args_parse(pci->name,
				 pci->device.devargs != NULL ? pci->device.devargs->args : NULL,
				 false, &args);
	if (ret < 0)
		return ret;
	args.pci = args.by_iova = true;
	nfe_bus_pci_address(pci, args.address, sizeof(args.address));
	return nfe_port_init(dev, &args);
}

static int
nfe_pci_probe(struct rte_pci_driver *driver __rte_unused, struct rte_pci_device *pci)
{
	int ret = nfe_probe_check(pci->name);

	if (ret < 0)
		return ret;
	return rte_eth_dev_pci_generic_probe(pci, sizeof(struct nfe_port), nfe_pci_init);
}

static int
nfe_pci_remove(struct rte_pci_device *pci)
{
	return rte_eth_dev_pci_generic_remove(pci, nfe_close);
}

static struct rte_pci_driver nfe_pci_driver = {
	.id_table = nfe_pci_ids,
	.drv_flags = RTE_PCI_DRV_NEED_MAPPING | RTE_PCI_DRV_INTR_LSC | RTE_PCI_DRV_INTR_RMV,
	.probe = nfe_pci_probe,
	.remove = nfe_pci_remove,
};

/* Not net_nfe: that is the vdev's, and inside a DPDK tree the two share a name space. */
RTE_PMD_REGISTER_PCI(net_nfe_pci, nfe_pci_driver);
RTE_PMD_REGISTER_PCI_TABLE(net_nfe_pci, nfe_pci_ids);
RTE_PMD_REGISTER_KMOD_DEP(net_nfe_pci, "* vfio-pci | uio_pci_generic");
RTE_PMD_REGISTER_PARAM_STRING(net_nfe_pci, NFE_ARGS_TEXT);

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Probe and remove of a port behind a vfio-user socket, for processes, or of a Xen domain's:
 *
 *	--vdev net_nfe0,socket=PATH[,share_kib=N][,queues=N][,mac=XX:XX:XX:XX:XX:XX]
 *		[,inline=N][,first_index=N]
 *	--vdev net_nfe0[,xen=N][,share_kib=N]...
 */
#include <errno.h>
#include <string.h>

#include <ethdev_vdev.h>

#include "nfe_args.h"
#include "nfe_ethdev.h"
#include "nfe_mp.h"

static int
attach_secondary(struct rte_vdev_device *vdev, const char *name)
{
	struct rte_eth_dev *dev = rte_eth_dev_attach_secondary(name);
	int ret;

	if (dev == NULL)
		return -ENODEV;
	dev->device = &vdev->device;
	ret = nfe_secondary_init(dev);
	if (ret < 0)
		rte_eth_dev_release_port(dev);
	else
		rte_eth_dev_probing_finish(dev);
	return ret;
}

static int
nfe_vdev_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct rte_eth_dev *dev;
	struct nfe_args args;
	int ret = nfe_probe_check(name);

	if (ret == 0 && rte_eal_process_type() != RTE_PROC_PRIMARY)
		return attach_secondary(vdev, name);
	if (ret == 0)
		ret = nfe_args_parse(name, rte_vdev_device_args(vdev), true, &args);
	if (ret < 0)
		return ret;
	if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = rte_socket_id();
	dev = rte_eth_vdev_allocate(vdev, sizeof(struct nfe_port));
	if (dev == NULL) {
		NFE_LOG(ERR, "%s: no ethdev: %s", name, rte_strerror(rte_errno));
		return -ENOMEM;
	}
	ret = nfe_port_init(dev, &args);
	if (ret < 0) {
		rte_eth_dev_release_port(dev);
		return ret;
	}
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int
nfe_vdev_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL || dev->state == RTE_ETH_DEV_UNUSED)
		return 0; /* closed before */
	nfe_close(dev);
	return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver nfe_vdev_driver = {
	.probe = nfe_vdev_probe,
	.remove = nfe_vdev_remove,
};

RTE_PMD_REGISTER_VDEV(net_nfe, nfe_vdev_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_nfe, NFE_ARG_SOCKET "=<path> " NFE_ARG_XEN "=<N> "
	NFE_ARG_SHARE_KIB "=<256..1048576> " NFE_ARGS_TEXT);

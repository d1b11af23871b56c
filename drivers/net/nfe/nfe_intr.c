/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Receive interrupts (specification 5.4): a data thread that found nothing arms its queue and waits
 * in an epoll set; the device fires the vector of the channel. Vector i + 1 is that of receive
 * queue i, and what poll(2) sees of it is the bus's: eventfds of EAL for a PCI function, else
 * descriptors that no device can get at.
 *
 * Setup runs on the control path, enable and disable on the data thread of the queue.
 */
#include <errno.h>

#include <rte_interrupts.h>
#include <rte_power_intrinsics.h>

#include "nfe_ethdev.h"

static int
fill_handle(struct rte_eth_dev *dev, struct rte_intr_handle *handle)
{
	const struct nfe_port *port = nfe_port(dev);
	uint16_t nb = dev->data->nb_rx_queues;
	int ret = rte_intr_vec_list_alloc(handle, "nfe", nb);

	for (uint16_t i = 0; i < nb && ret == 0; i++)
		ret = rte_intr_vec_list_index_set(handle, i, RTE_INTR_VEC_RXTX_OFFSET + i);
	if (ret != 0 || port->pci)
		return ret; /* EAL filled in the rest when it enabled MSI-X */
	ret = rte_intr_type_set(handle, RTE_INTR_HANDLE_VDEV);
	if (ret == 0)
		ret = rte_intr_nb_efd_set(handle, nb);
	if (ret == 0)
		ret = rte_intr_max_intr_set(handle, nb + 1);
	if (ret == 0) /* EAL must not read them, nfeh_irq_clear() does what that is for */
		ret = rte_intr_efd_counter_size_set(handle, 0);
	for (uint16_t i = 0; i < nb && ret == 0; i++)
		ret = rte_intr_efds_index_set(handle, i, nfeh_irq_fd(port->h, i + 1));
	return ret;
}

int
nfe_intr_setup(struct rte_eth_dev *dev)
{
	struct nfe_port *port = nfe_port(dev);
	uint16_t nb = dev->data->nb_rx_queues;
	int ret;

	nfe_intr_free(dev);
	if (!dev->data->dev_conf.intr_conf.rxq || nb == 0)
		return 0;
	if (nb > RTE_MAX_RXTX_INTR_VEC_ID || nfeh_irq_fd(port->h, nb) < 0) {
		NFE_LOG(ERR, "%s: no interrupts for %u rx queues, the device has %u vectors",
			port->name, nb, nfeh_info(port->h)->vectors);
		return -ENOTSUP;
	}
	if (!port->pci)
		dev->intr_handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_SHARED);
	if (dev->intr_handle == NULL)
		return -ENOMEM;
	port->rx_intr = true;
	ret = fill_handle(dev, dev->intr_handle);
	if (ret != 0) {
		NFE_LOG(ERR, "%s: interrupts of %u rx queues: %s", port->name, nb, strerror(-ret));
		nfe_intr_free(dev);
	}
	return ret;
}

void
nfe_intr_free(struct rte_eth_dev *dev)
{
	struct nfe_port *port = nfe_port(dev);

	if (!port->rx_intr)
		return;
	port->rx_intr = false;
	rte_intr_free_epoll_fd(dev->intr_handle);
	rte_intr_vec_list_free(dev->intr_handle);
	if (port->pci)
		return;
	rte_intr_instance_free(dev->intr_handle);
	dev->intr_handle = NULL;
}

/* What arrives before S1 is found at S3, what arrives later crosses the event index. */
int
nfe_rx_intr_enable(struct rte_eth_dev *dev, uint16_t id)
{
	struct nfe_port *port = nfe_port(dev);
	struct nfe_rxq *q = dev->data->rx_queues[id];

	if (!port->rx_intr || q->db_event == NULL)
		return -ENOTSUP;
	nfeh_irq_clear(port->h, q->channel);
	nfe_idx_publish(q->db_event, q->cons); /* S1 */
	nfe_full_fence();		       /* S2 */
	if (nfe_rx_avail(q) > 0 || nfe_copy_rx_pending(q) > 0) /* S3 */
		nfeh_irq_raise(port->h, q->channel);
	return 0;
}

/* There is no disarming (5.4): what was armed fires once more, and that wakes nobody. */
int
nfe_rx_intr_disable(struct rte_eth_dev *dev, uint16_t id)
{
	struct nfe_port *port = nfe_port(dev);
	const struct nfe_rxq *q = dev->data->rx_queues[id];

	if (!port->rx_intr)
		return -ENOTSUP;
	nfeh_irq_clear(port->h, q->channel);
	return 0;
}

static int
monitor_moved(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return value == opaque[0] ? 0 : -1;
}

/* The line that the device writes when it publishes frames. */
int
nfe_monitor_addr(void *queue, struct rte_power_monitor_cond *cond)
{
	struct nfe_rxq *q = queue;

	if (q->status == NULL)
		return -EBUSY; /* never started */
	cond->addr = &q->status->rq_prod;
	cond->size = sizeof(q->status->rq_prod);
	cond->opaque[0] = q->cons;
	cond->fn = monitor_moved;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The bus of PCI functions: "pci:0000:01:00.0", a device that EAL has mapped. EAL's probe only.
 */
#ifndef NFE_BUS_PCI_H
#define NFE_BUS_PCI_H

#include <stddef.h>

struct rte_pci_device;

/* The address of a device for nfeh_attach(). Valid on this thread until the next call: a function
 * is attached while it is being probed, and its bus remembers the device. */
void nfe_bus_pci_address(struct rte_pci_device *pci, char *address, size_t size);

#endif /* NFE_BUS_PCI_H */

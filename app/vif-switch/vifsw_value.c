/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Values of one word: numbers, on/off, MAC addresses, paths, names. Each takes its word, checks it,
 * and reports what is wrong with value and limit.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vifsw_parser.h"

const char *
vifsw_take(struct vifsw_parser *p)
{
	if (p->next < p->nb_words)
		return p->word[p->next++];
	vifsw_error(p, "%s: value missing, expected \"%s %s\"", p->keyword->name,
		    p->keyword->name, p->keyword->args);
	return NULL;
}

/* Digits only: strtoull() alone would take signs, blanks and 0x. */
static bool
parse_digits(const char *word, unsigned int base, uint64_t *value, bool *overflow)
{
	const char *digits = "0123456789";

	if (word[0] == '\0' || strspn(word, digits) != strlen(word))
		return false;
	for (const char *c = word; base == 8 && *c != '\0'; c++)
		if (*c > '7')
			return false;
	errno = 0;
	*value = strtoull(word, NULL, (int)base);
	*overflow = errno == ERANGE;
	return true;
}

bool
vifsw_value_number(struct vifsw_parser *p, const char *unit, uint64_t min, uint64_t max,
		   uint64_t *value)
{
	const char *word = vifsw_take(p);
	uint64_t number = 0;
	bool overflow = false;

	if (word == NULL)
		return false;
	if (!parse_digits(word, 10, &number, &overflow)) {
		vifsw_error(p, "%s: \"%.*s\" is not a number", p->keyword->name, VIFSW_SHOWN, word);
		return false;
	}
	if (overflow || number < min || number > max) {
		vifsw_error(p, "%s: %.*s is out of range, limits are %" PRIu64 " to %" PRIu64 "%s%s",
			    p->keyword->name, VIFSW_SHOWN, word, min, max, unit[0] != '\0' ? " " : "",
			    unit);
		return false;
	}
	*value = number;
	return true;
}

bool
vifsw_value_octal(struct vifsw_parser *p, unsigned int max, unsigned int *value)
{
	const char *word = vifsw_take(p);
	uint64_t number = 0;
	bool overflow = false;

	if (word == NULL)
		return false;
	if (!parse_digits(word, 8, &number, &overflow)) {
		vifsw_error(p, "%s: \"%.*s\" is not an octal number", p->keyword->name, VIFSW_SHOWN,
			    word);
		return false;
	}
	if (overflow || number > max) {
		vifsw_error(p, "%s: %.*s is out of range, limit is %04o", p->keyword->name,
			    VIFSW_SHOWN, word, max);
		return false;
	}
	*value = (unsigned int)number;
	return true;
}

bool
vifsw_value_on_off(struct vifsw_parser *p, bool *value)
{
	const char *word = vifsw_take(p);

	if (word == NULL)
		return false;
	if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0) {
		vifsw_error(p, "%s: \"%.*s\", expected on or off", p->keyword->name, VIFSW_SHOWN,
			    word);
		return false;
	}
	*value = strcmp(word, "on") == 0;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Exactly xx:xx:xx:xx:xx:xx. */
static bool
parse_mac(const char *word, struct rte_ether_addr *mac)
{
	if (strlen(word) != 3 * RTE_ETHER_ADDR_LEN - 1)
		return false;
	for (unsigned int i = 0; i < RTE_ETHER_ADDR_LEN; i++) {
		int high = hex_digit(word[3 * i]), low = hex_digit(word[3 * i + 1]);

		if (high < 0 || low < 0 || (i > 0 && word[3 * i - 1] != ':'))
			return false;
		mac->addr_bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* In lower case, as it is usually written; DPDK's RTE_ETHER_ADDR_PRT_FMT has upper case. */
void
vifsw_mac_format(const struct rte_ether_addr *mac, char text[VIFSW_MAC_TEXT])
{
	const uint8_t *b = mac->addr_bytes;

	snprintf(text, VIFSW_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		 b[5]);
}

bool
vifsw_value_mac(struct vifsw_parser *p, const char *word, struct rte_ether_addr *mac)
{
	struct rte_ether_addr parsed;

	if (!parse_mac(word, &parsed)) {
		vifsw_error(p, "%s: \"%.*s\" is not a MAC address, expected xx:xx:xx:xx:xx:xx",
			    p->keyword->name, VIFSW_SHOWN, word);
		return false;
	}
	if (rte_is_multicast_ether_addr(&parsed)) {
		vifsw_error(p, "%s: %s is a multicast address, a VIF needs unicast",
			    p->keyword->name, word);
		return false;
	}
	if (rte_is_zero_ether_addr(&parsed)) {
		vifsw_error(p, "%s: %s is the zero address", p->keyword->name, word);
		return false;
	}
	*mac = parsed;
	return true;
}

bool
vifsw_value_path(struct vifsw_parser *p, char path[VIFSW_PATH_MAX])
{
	const char *word = vifsw_take(p);
	size_t len;

	if (word == NULL)
		return false;
	len = strlen(word);
	if (len >= VIFSW_PATH_MAX) {
		vifsw_error(p, "%s: path of %zu characters, limit %u", p->keyword->name, len,
			    VIFSW_PATH_MAX - 1);
		return false;
	}
	if (word[0] != '/') {
		vifsw_error(p, "%s: \"%.*s\" is not an absolute path", p->keyword->name, VIFSW_SHOWN,
			    word);
		return false;
	}
	memcpy(path, word, len + 1);
	return true;
}

bool
vifsw_value_name(struct vifsw_parser *p, const char *word, char name[VSW_NAME_LEN])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t len = strlen(word);

	if (len >= VSW_NAME_LEN) {
		vifsw_error(p, "%s: name of %zu characters, limit %u", p->keyword->name, len,
			    VSW_NAME_LEN - 1);
		return false;
	}
	if (strspn(word, allowed) != len || strchr("._-", word[0]) != NULL) {
		vifsw_error(p, "%s: name \"%s\" may hold letters, digits and . _ - only, and starts"
			    " with a letter or digit", p->keyword->name, word);
		return false;
	}
	memcpy(name, word, len + 1);
	return true;
}

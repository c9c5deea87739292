/* Socket addresses, and a hash table from an address to a small number. */
#ifndef HUIZHEN_ADDRESSES_H
#define HUIZHEN_ADDRESSES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* 4-in-6 form of an address, its port, and the local IPv4 address it speaks to (0: any). Network byte order. */
struct address_key {
    uint8_t ip[16];
    uint32_t local;
    uint32_t port;
};

/* Open addressing, linear probing, at most half full. Entries are numbers below ADDRESS_NONE. */
struct address_table {
    struct address_slot {
        struct address_key key;
        uint32_t value;
    } *slots;
    uint32_t size; /* a power of two */
    uint32_t used;
    uint64_t seed;
};

#define ADDRESS_NONE UINT32_MAX

bool address_table_init(struct address_table *table);
void address_table_free(struct address_table *table);
uint32_t address_table_get(const struct address_table *table, const struct address_key *key);
/* Replaces what was there. False: no memory, nothing changed. */
bool address_table_put(struct address_table *table, const struct address_key *key, uint32_t value);
/* A number below `places`, a power of two, that strangers cannot foresee. */
uint32_t address_place(const struct address_table *table, const struct address_key *key, uint32_t places);
bool address_table_remove(struct address_table *table, const struct address_key *key);

bool address_of_text(const char *ip, uint16_t port, int family, struct sockaddr_storage *address, socklen_t *length);
struct address_key address_key_of(const struct sockaddr_storage *address);
/* ip has room for INET6_ADDRSTRLEN. */
void address_to_text(const struct sockaddr_storage *address, char *ip, uint16_t *port);

#endif

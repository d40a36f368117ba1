// ioctl(2) on sockets of several families about the network's interfaces, and what cannot be asked.
#include "inet.h"
#include <net/if.h>
#include <sys/ioctl.h>

static const struct {
    unsigned long request;
    const char *name;
} asked[] = {
    {SIOCGIFINDEX, "index"},   {SIOCGIFFLAGS, "flags"},       {SIOCGIFMTU, "mtu"},        {SIOCGIFTXQLEN, "queue"},
    {SIOCGIFHWADDR, "hardware"}, {SIOCGIFADDR, "address"},    {SIOCGIFNETMASK, "netmask"}, {SIOCGIFBRDADDR, "broadcast"},
    {SIOCGIFDSTADDR, "other end"},
};

static void ask(int s, const char *interface) {
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct ifreq r;
        memset(&r, 0x5a, sizeof r);
        strcpy(r.ifr_name, interface);
        long result = ioctl(s, asked[i].request, &r);
        show_result(asked[i].name, result, errno);
        if (result < 0) continue;
        char text[64] = "";
        for (unsigned at = 0; at < sizeof r.ifr_ifru; at++)
            sprintf(text + 2 * at, "%02x", ((unsigned char *)&r.ifr_ifru)[at]);
        say("  %.16s %s", r.ifr_name, text);
    }
}

static void list(int s) {
    struct ifconf c = {.ifc_len = 12345};
    struct ifreq r[32];
    SHOW(ioctl(s, SIOCGIFCONF, &c));
    say("room for %d", c.ifc_len);
    c.ifc_len = sizeof r;
    c.ifc_req = r;
    SHOW(ioctl(s, SIOCGIFCONF, &c));
    for (unsigned i = 0; i < c.ifc_len / sizeof *r; i++)
        say("%s %s", r[i].ifr_name, inet_ntoa(((struct sockaddr_in *)&r[i].ifr_addr)->sin_addr));
    c.ifc_len = sizeof *r + sizeof *r / 2;
    SHOW(ioctl(s, SIOCGIFCONF, &c));
    say("%d", c.ifc_len);
    c.ifc_len = 7;
    SHOW(ioctl(s, SIOCGIFCONF, &c));
    say("%d", c.ifc_len);
    c.ifc_len = sizeof r;
    c.ifc_buf = bad_pointer();
    SHOW(ioctl(s, SIOCGIFCONF, &c));
    SHOW(ioctl(s, SIOCGIFCONF, bad_pointer()));
}

int main(void) {
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    for (int i = 0; i < 3; i++) {
        int s = MUST(socket(families[i], SOCK_DGRAM, 0));
        say("-- family %d", families[i]);
        list(s);
        for (int index = 1; index < 9; index++) {
            struct ifreq r = {.ifr_ifindex = index};
            if (ioctl(s, SIOCGIFNAME, &r) == 0) {
                say("%d %s", index, r.ifr_name);
                ask(s, r.ifr_name);
            }
        }
        ask(s, "none");
        ask(s, "lo:1");
        for (unsigned k = 0; k < sizeof asked / sizeof *asked; k++) SHOW(ioctl(s, asked[k].request, bad_pointer()));
        struct ifreq r = {.ifr_ifindex = 0};
        SHOW(ioctl(s, SIOCGIFNAME, &r));
        SHOW(ioctl(s, 0x89ff12, &r));
        MUST(close(s));
    }
    int tcp = MUST(socket(AF_INET, SOCK_STREAM, 0)), pipes[2];
    struct ifreq r = {.ifr_name = "lo"};
    SHOW(ioctl(tcp, SIOCGIFINDEX, &r));
    MUST(pipe(pipes));
    SHOW(ioctl(pipes[0], SIOCGIFINDEX, &r));
    // The address that is given is the one that is asked about.
    struct sockaddr_in wanted = loopback(0);
    memcpy(&r.ifr_addr, &wanted, sizeof wanted);
    SHOW(ioctl(tcp, SIOCGIFNETMASK, &r));
    say("%s", inet_ntoa(((struct sockaddr_in *)&r.ifr_netmask)->sin_addr));
    return 0;
}

# What a shell does by itself, without children, over a host that may lie, and at the end another program in its place. The canary
# of tests/hostile/lying.py is in a variable and in a file of the enclave's own all the time; here it stands in another
# writing, because the script itself is no secret. What fails may fail; it must not stop the rest.
secret=$'\315\361\253\344\313\346\256\320\367\314\245\356\310\376\250\352'
printf '%s' "$secret" > /tmp/secret
turn=0
while [ $turn -lt 40 ]; do
    turn=$((turn + 1))
    echo "turn $turn" > /data/note$turn
    read -r line < /data/note$turn
    [ -f /data/note$turn ] && [ ! -d /data/note$turn ] && [ -s /data/note$turn ]
    echo more >> /data/note$turn
    for path in /data/* /etc/* /bin/l*; do [ -e "$path" ] && [ -x "$path" ]; done
    while read -r user rest; do [ "$user" = "$turn" ]; done < /etc/passwd
    cd /data && cd / && umask 022
    echo "$turn $line"
done
read -r found < /tmp/secret
[ "$found" = "$secret" ] || echo "wrong: the secret changed" >&2
exec /bin/busybox find /data /etc -type f

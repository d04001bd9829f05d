#!/bin/sh
# One transaction with curl and openssl alone: transaction.sh CHANNEL CHAINCODE FUNCTION 'ARGUMENTS, A JSON LIST'
set -eu
export LC_ALL=C
network=${NETWORK:-out/network} url=${GATEWAY:-https://127.0.0.1:7151}
user=${IDENTITY:-$network/organisations/Org1/users/admin}

call() { curl -sS --fail-with-body --cacert "$network/roots.pem" --cert "$user/cert.pem" --key "$user/key.pem" "$@"; }
refused() { echo "$1" >&2; exit 1; }
escaped() { sed 's/[\\"]/\\&/g'; }
unescaped() { sed 's/\\\(.\)/\1/g'; }
sha256() { openssl dgst -sha256 -r | cut -d ' ' -f 1; }
half=7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8 # of P-256's order
sign() { # an ECDSA signature has s or -s by chance, and only the lower one is taken: sign until it comes
    while :; do
        signature=$(printf %s "$1" | openssl dgst -sha256 -sign "$user/key.pem" | openssl base64 -A)
        s=$(printf %s "$signature" | openssl base64 -d -A | openssl asn1parse -inform DER | sed -n '3s/.*://p')
        [ "$(printf '%64s\n' "$s" "$half" | tr ' ' 0 | sort | tail -n 1)" != "$half" ] || break
    done
    printf %s "$signature"
}

definition=$(call "$url/channels/$1/chaincodes/$2") || refused "$definition"
sequence=$(printf %s "$definition" | sed 's/.*"sequence":\([0-9]*\).*/\1/')
creator=$(openssl x509 -in "$user/cert.pem" -outform DER | openssl base64 -A)
proposal=$(printf '{"kind":"proposal","channel":"%s","chaincode":"%s","sequence":%s,"function":"%s","args":%s,' "$1" "$2" "$sequence" "$3" "$4"
    printf '"creator":"%s","nonce":"%s","time":%s,"transient":null}' "$creator" "$(openssl rand -hex 24)" "$(date +%s)000000")
quoted=$(printf %s "$proposal" | escaped)
endorsed=$(printf '{"proposal":"%s","signature":"%s"}' "$quoted" "$(sign "$proposal")" |
    call "$url/gateway/endorse" --data-binary @-) || refused "$endorsed"
result=$(printf %s "$endorsed" | sed 's/.*"result":"\(\([^"\\]\|\\.\)*\)".*/\1/')
endorsements=$(printf %s "$endorsed" | sed 's/.*"endorsements":\(\[[^]]*\]\).*/\1/')
text=$(printf '{"kind":"transaction","tx_id":"%s","result":"%s","endorsements":"%s"}' "$(printf %s "$proposal" | sha256)" \
    "$(printf %s "$result" | unescaped | sha256)" "$(printf %s "$endorsements" | sha256)")
printf '{"proposal":"%s","result":"%s","endorsements":"%s","signature":"%s"}' "$quoted" "$result" \
    "$(printf %s "$endorsements" | escaped)" "$(sign "$text")" | call "$url/gateway/submit" --data-binary @-
echo

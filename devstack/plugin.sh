#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Lets a devstack have back ends of this driver. In local.conf:
#
#   enable_plugin taikun_cinder <the URL of this repository>
#   CINDER_ENABLED_BACKENDS=taikun:shared-1
#
# The functions *_cinder_backend_taikun are called by devstack's lib/cinder, for each
# back end of the type taikun, with its name. All variables and all other functions are
# devstack's.

TAIKUN_CINDER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

_taikun_group() {
    echo "$VOLUME_GROUP_NAME-$1"
}

_taikun_backends() {
    local backend
    for backend in ${CINDER_ENABLED_BACKENDS//,/ }; do
        if [[ $backend == taikun:* ]]; then
            echo "${backend#taikun:}"
        fi
    done
}

configure_cinder_backend_taikun() {
    local name=$1
    iniset "$CINDER_CONF" "$name" volume_backend_name "$name"
    iniset "$CINDER_CONF" "$name" volume_driver taikun_cinder.driver.MultiattachLVMDriver
    iniset "$CINDER_CONF" "$name" volume_group "$(_taikun_group "$name")"
    iniset "$CINDER_CONF" "$name" lvm_type "$CINDER_LVM_TYPE"
    iniset "$CINDER_CONF" "$name" target_helper lioadm
    iniset "$CINDER_CONF" "$name" target_protocol iscsi
    iniset "$CINDER_CONF" "$name" target_ip_address "$HOST_IP"
    iniset "$CINDER_CONF" "$name" target_port "$CINDER_TARGET_PORT"
    iniset "$CINDER_CONF" "$name" target_prefix "$CINDER_TARGET_PREFIX"
    iniset "$CINDER_CONF" "$name" volume_clear "$CINDER_VOLUME_CLEAR"
    iniset "$CINDER_CONF" "$name" taikun_state_path "$TAIKUN_CINDER_STATE_PATH"
}

init_cinder_backend_taikun() {
    init_lvm_volume_group "$(_taikun_group "$1")" "$VOLUME_BACKING_FILE_SIZE"
}

cleanup_cinder_backend_taikun() {
    clean_lvm_volume_group "$(_taikun_group "$1")"
    clean_lvm_filter
}

# cinder.conf is the user's who runs devstack, so root has to be told whose the groups
# are in a file that only root can change.
_taikun_write_privileged_conf() {
    local groups=() name
    for name in $(_taikun_backends); do
        groups+=("$(_taikun_group "$name")")
    done
    sudo mkdir -p "$(dirname "$TAIKUN_CINDER_PRIVILEGED_CONF")"
    sudo tee "$TAIKUN_CINDER_PRIVILEGED_CONF" > /dev/null << EOF
[taikun_cinder]
volume_groups = $(IFS=,; echo "${groups[*]}")
target_prefixes = $CINDER_TARGET_PREFIX
EOF
    sudo chmod 644 "$TAIKUN_CINDER_PRIVILEGED_CONF"
}

_taikun_configure() {
    _taikun_write_privileged_conf
    iniset "$CINDER_CONF" DEFAULT scheduler_default_filters \
        AvailabilityZoneFilter,CapacityFilter,CapabilitiesFilter,TaikunMultiattachFilter
    if [[ -n $TAIKUN_CINDER_POLICY ]]; then
        mkdir -p "$CINDER_CONF_DIR/policy.d"
        cp "$TAIKUN_CINDER_DIR/etc/policy.d/multiattach-$TAIKUN_CINDER_POLICY.yaml" \
            "$CINDER_CONF_DIR/policy.d"
    fi
}

_taikun_share() {
    local name
    for name in $(_taikun_backends); do
        openstack --os-cloud devstack-admin volume type set \
            --property multiattach="<is> True" "$name"
    done
}

if is_service_enabled cinder; then
    case "$1/${2:-}" in
        stack/install) setup_develop "$TAIKUN_CINDER_DIR" ;;
        stack/post-config) _taikun_configure ;;
        stack/extra) _taikun_share ;;
        clean/) sudo rm -rf "$TAIKUN_CINDER_STATE_PATH" "$TAIKUN_CINDER_PRIVILEGED_CONF" ;;
    esac
fi

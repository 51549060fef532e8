#include "base/buf.h"
#include "base/json.h"
#include "scrape/sd_dns.h"
#include "scrape/sd_docker.h"
#include "scrape/sd_kubernetes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* All targets of a group, labels sorted, "__meta_" left out. */
static void expect(const struct target_group *g, const char *want)
{
    struct buf b = BUF_MAX(65536);

    for (size_t i = 0; i < g->n_targets; i++) {
        struct labels s = g->targets[i];

        qsort(s.p, s.len, sizeof(*s.p), by_name);
        for (size_t k = 0; k < s.len; k++) {
            struct str n = s.p[k].name;

            n = str_starts(n, STR("__meta_")) ? str_from(n, 7) : n;
            (void)buf_printf(&b, "%s%.*s=%.*s", k > 0 ? " " : "", STR_ARG(n),
                             STR_ARG(s.p[k].value));
        }
        (void)buf_add_c(&b, "\n");
    }
    assert_string_equal(b.p != NULL ? b.p : "", want);
    buf_done(&b);
}

static const char question[] = "\1a\0\0\x21\0\1";

static void answers_of_dns_become_targets(void **state UNUSED)
{
    struct arena a = {0};
    struct target_group g;
    struct buf m = BUF_MAX(1000);

    (void)buf_add(&m, str_n("\0\1\x81\x80\0\1\0\2\0\0\0\0", 12));
    (void)buf_add(&m, str_n(question, 7));
    (void)buf_add(&m, str_n("\xc0\x0c\0\x21\0\1\0\0\0\5\0\x0c\0\1\0\2\x23\x8c\2n1\1x\0", 24));
    (void)buf_add(&m, str_n("\xc0\x0c\0\1\0\1\0\0\0\5\0\4\1\2\3\4", 16));
    assert_int_equal(sd_dns_read(&a, buf_str(&m), STR("a"), STR("SRV"), 0, &g, &e), 0);
    expect(&g, "__address__=n1.x:9100 dns_name=a dns_srv_record_port=9100 "
               "dns_srv_record_target=n1.x.\n");
    assert_int_equal(sd_dns_read(&a, buf_str(&m), STR("a"), STR("A"), 80, &g, &e), 0);
    expect(&g, "__address__=1.2.3.4:80 dns_name=a\n");
    assert_int_equal(sd_dns_read(&a, str_first(buf_str(&m), 40), STR("a"), STR("A"), 80, &g, &e),
                     -1);
    buf_done(&m);
    arena_done(&a);
}

static void containers_become_targets(void **state UNUSED)
{
    static const char containers[] =
        "[{\"Id\":\"c1\",\"Names\":[\"/web\"],\"Labels\":{\"com.x/y\":\"z\"},"
        "\"HostConfig\":{\"NetworkMode\":\"default\"},"
        "\"Ports\":[{\"PrivatePort\":80,\"PublicPort\":8080,\"IP\":\"0.0.0.0\",\"Type\":\"tcp\"},"
        "{\"PrivatePort\":53,\"Type\":\"udp\"}],"
        "\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"NetworkID\":\"n1\",\"IPAddress\":"
        "\"172.17.0.2\"}}}},"
        "{\"Id\":\"c2\",\"Names\":[\"/side\"],\"HostConfig\":{\"NetworkMode\":\"container:c1\"},"
        "\"Ports\":[],\"NetworkSettings\":{\"Networks\":{}}},"
        "{\"Id\":\"c3\",\"Names\":[\"/h\"],\"HostConfig\":{\"NetworkMode\":\"host\"},"
        "\"NetworkSettings\":{\"Networks\":{\"host\":{\"NetworkID\":\"n2\",\"IPAddress\":\"\"}}}}]";
    static const char networks[] = "[{\"Id\":\"n1\",\"Name\":\"bridge\",\"Scope\":\"local\","
                                   "\"Internal\":false,\"Ingress\":false,\"Labels\":{}}]";
    struct sd_config c = {
        .port = 80, .host_networking_host = STR("localhost"), .match_first_network = true};
    struct arena a = {0};
    struct target_group g;

    assert_int_equal(sd_docker_read(&a, &c, str_of(containers), str_of(networks), &g, &e), 0);
    expect(&g,
           "__address__=172.17.0.2:80 docker_container_id=c1 docker_container_label_com_x_y=z "
           "docker_container_name=/web docker_container_network_mode=default "
           "docker_network_id=n1 docker_network_ingress=false docker_network_internal=false "
           "docker_network_ip=172.17.0.2 docker_network_name=bridge docker_network_scope=local "
           "docker_port_private=80 docker_port_public=8080 docker_port_public_ip=0.0.0.0\n"
           "__address__=172.17.0.2:80 docker_container_id=c2 docker_container_name=/side "
           "docker_container_network_mode=container:c1 "
           "docker_network_id=n1 docker_network_ingress=false docker_network_internal=false "
           "docker_network_ip=172.17.0.2 docker_network_name=bridge docker_network_scope=local\n"
           "__address__=localhost docker_container_id=c3 docker_container_name=/h "
           "docker_container_network_mode=host docker_network_ip=\n");
    arena_done(&a);
}

static const char pods[] =
    "[{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\",\"uid\":\"u\",\"labels\":{\"app/"
    "x\":\"web\"},"
    "\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"rs\",\"controller\":true}]},"
    "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\",\"image\":\"i:1\","
    "\"ports\":[{\"name\":\"web\",\"containerPort\":8080,\"protocol\":\"TCP\"}]}]},"
    "\"status\":{\"podIP\":\"10.0.0.5\",\"hostIP\":\"10.1.0.1\",\"phase\":\"Running\","
    "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
    "\"containerStatuses\":[{\"name\":\"c\",\"containerID\":\"docker://1\"}]}},"
    "{\"metadata\":{\"name\":\"waits\",\"namespace\":\"n\"},\"status\":{}}]";

#define POD                                                                                        \
    "kubernetes_pod_container_id=docker://1 kubernetes_pod_container_image=i:1 "                   \
    "%skubernetes_pod_container_name=c kubernetes_pod_container_port_name=web "                    \
    "kubernetes_pod_container_port_number=8080 kubernetes_pod_container_port_protocol=TCP "        \
    "kubernetes_pod_controller_kind=ReplicaSet kubernetes_pod_controller_name=rs "                 \
    "kubernetes_pod_host_ip=10.1.0.1 kubernetes_pod_ip=10.0.0.5 kubernetes_pod_label_app_x=web "   \
    "kubernetes_pod_labelpresent_app_x=true kubernetes_pod_name=p kubernetes_pod_node_name=n1 "    \
    "kubernetes_pod_phase=Running kubernetes_pod_ready=true kubernetes_pod_uid=u"

static void read_role(const char *role, const struct k8s_lists *l, const char *want)
{
    struct sd_config c = {.role = str_of(role)};
    struct arena a = {0};
    struct target_group g;

    assert_int_equal(sd_kubernetes_read(&a, &c, l, &g, &e), 0);
    expect(&g, want);
    arena_done(&a);
}

static void objects_of_kubernetes_become_targets(void **state UNUSED)
{
    json_t *p = json_parse(str_of(pods), &e);
    json_t *ends = json_parse(STR("[{\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},\"subsets\":"
                                  "[{\"addresses\":[{\"ip\":"
                                  "\"10.0.0.5\",\"nodeName\":\"n1\",\"targetRef\":{\"kind\":"
                                  "\"Pod\",\"name\":\"p\"}}],\"ports\":[{"
                                  "\"name\":\"web\",\"port\":8080}]}]}]"),
                              &e);
    json_t *services = json_parse(
        STR("[{\"metadata\":{\"name\":\"s\",\"namespace\":\"n\",\"annotations\":{\"a\":\"b\"}},"
            "\"spec\":{\"clusterIP\":\"10.9.0.1\",\"ports\":[{\"name\":\"web\",\"port\":80}]}}]"),
        &e);
    json_t *nodes = json_parse(
        STR("[{\"metadata\":{\"name\":\"n1\"},\"spec\":{},\"status\":{\"addresses\":[{\"type\":"
            "\"Hostname\",\"address\":\"h\"},{\"type\":\"InternalIP\",\"address\":\"10.1.0.1\"}],"
            "\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10250}}}}]"),
        &e);
    json_t *ingresses = json_parse(
        STR("[{\"metadata\":{\"name\":\"g\",\"namespace\":\"n\"},\"spec\":{\"tls\":[{\"hosts\":[\"*"
            ".x\"]}],"
            "\"rules\":[{\"host\":\"a.x\",\"http\":{\"paths\":[{\"path\":\"/p\"}]}}]}}]"),
        &e);
    char want[4096];

    assert_true(p != NULL && ends != NULL && services != NULL && nodes != NULL &&
                ingresses != NULL);
    (void)snprintf(want, sizeof(want), "__address__=10.0.0.5:8080 kubernetes_namespace=n " POD "\n",
                   "kubernetes_pod_container_init=false ");
    read_role("pod", &(struct k8s_lists){.main = p}, want);
    (void)snprintf(want, sizeof(want),
                   "__address__=10.0.0.5:8080 kubernetes_endpoint_address_target_kind=Pod "
                   "kubernetes_endpoint_address_target_name=p kubernetes_endpoint_node_name=n1 "
                   "kubernetes_endpoint_port_name=web kubernetes_endpoint_port_protocol=TCP "
                   "kubernetes_endpoint_ready=true kubernetes_endpoints_name=s "
                   "kubernetes_namespace=n " POD
                   " kubernetes_service_annotation_a=b kubernetes_service_annotationpresent_a=true "
                   "kubernetes_service_name=s\n",
                   "");
    read_role("endpoints", &(struct k8s_lists){.main = ends, .pods = p, .services = services},
              want);
    read_role("service", &(struct k8s_lists){.main = services},
              "__address__=s.n.svc:80 kubernetes_namespace=n kubernetes_service_annotation_a=b "
              "kubernetes_service_annotationpresent_a=true kubernetes_service_cluster_ip=10.9.0.1 "
              "kubernetes_service_name=s kubernetes_service_port_name=web "
              "kubernetes_service_port_number=80 kubernetes_service_port_protocol=TCP "
              "kubernetes_service_type=ClusterIP\n");
    read_role("node", &(struct k8s_lists){.main = nodes},
              "__address__=10.1.0.1:10250 kubernetes_node_address_Hostname=h "
              "kubernetes_node_address_InternalIP=10.1.0.1 kubernetes_node_name=n1 "
              "kubernetes_node_provider_id= instance=n1\n");
    read_role(
        "ingress", &(struct k8s_lists){.main = ingresses},
        "__address__=a.x kubernetes_ingress_host=a.x kubernetes_ingress_name=g "
        "kubernetes_ingress_path=/p kubernetes_ingress_scheme=https kubernetes_namespace=n\n");
    json_decref(p);
    json_decref(ends);
    json_decref(services);
    json_decref(nodes);
    json_decref(ingresses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_dns_become_targets),
        cmocka_unit_test(containers_become_targets),
        cmocka_unit_test(objects_of_kubernetes_become_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

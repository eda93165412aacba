// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/container_facts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace vedette {
namespace {

using Json = nlohmann::json;

constexpr char kId[] = "d166c6190614efc91956b78e96d74c3fbc96ca8e91948c36de3bc5b0e7b27d48";

std::string DockerName(const std::string& name, const Json& labels,
                       const std::string& image = "redis:7") {
  const Json config = {
      {"ID", kId}, {"Name", "/" + name}, {"Config", {{"Image", image}, {"Labels", labels}}}};
  const auto facts = ParseDockerConfig(config.dump());
  EXPECT_TRUE(facts.ok()) << facts.status();
  return facts.ok() ? LastingName(*facts, std::nullopt) : "";
}

std::string BundleName(const Json& annotations, std::optional<uint32_t> user = std::nullopt) {
  const auto facts = ParseBundleConfig(Json{{"annotations", annotations}}.dump(), kId);
  EXPECT_TRUE(facts.ok()) << facts.status();
  return facts.ok() && *facts ? LastingName(**facts, user) : "";
}

TEST(ContainerFactsTest, ANameThatSomebodyGaveIsTheName) {
  EXPECT_EQ(DockerName("web", nullptr), "container/docker/web");
  EXPECT_EQ(DockerName("redis_cache", Json::object()), "container/docker/redis_cache");
}

TEST(ContainerFactsTest, AMadeUpNameGivesWayToTheImage) {
  EXPECT_EQ(DockerName("elegant_austin", {}), "container/docker/image:redis");
  EXPECT_EQ(DockerName("zen_hopper3", {}, "ghcr.io:443/shop/web:1.2@sha256:ab"),
            "container/docker/image:ghcr.io%3A443/shop/web");
  EXPECT_EQ(DockerName("zen_hopper", {}, "host:5000/web"),
            "container/docker/image:host%3A5000/web");
  // An image without a name, and nobody gave one to the container.
  EXPECT_EQ(DockerName("zen_hopper", {}, "sha256:" + std::string(kId)), "");
  EXPECT_EQ(DockerName("zen_hopper", {}, kId), "");
}

TEST(ContainerFactsTest, WhatLooksMadeUpByItsWords) {
  EXPECT_TRUE(IsGeneratedName("thirsty_golick", kId));
  EXPECT_TRUE(IsGeneratedName("recursing_mcclintock12", kId));
  EXPECT_TRUE(IsGeneratedName("alpine-d166c", kId));
  EXPECT_TRUE(IsGeneratedName("0123456789ab-infra", kId));
  EXPECT_TRUE(IsGeneratedName("d166c6190614", kId));
  for (const char* given : {"web", "my_app", "postgres_db", "alpine-d166d", "happy", "happy_",
                            "happy_2", "Happy_path", "shop-infra", ""}) {
    EXPECT_FALSE(IsGeneratedName(given, kId)) << given;
  }
}

TEST(ContainerFactsTest, AllReplicasOfAComposeServiceAreOne) {
  const Json labels = {{"com.docker.compose.project", "shop"},
                       {"com.docker.compose.service", "db"}};
  for (const char* name : {"shop-db-1", "shop-db-2", "shop_db_1", "shop-db-run-0123456789ab"}) {
    EXPECT_EQ(DockerName(name, labels), "container/docker/shop/db") << name;
  }
  EXPECT_EQ(DockerName("database", labels), "container/docker/database");  // container_name:
  EXPECT_EQ(BundleName({{"nerdctl/name", "shop-db-1"},
                        {"com.docker.compose.project", "shop"},
                        {"com.docker.compose.service", "db"}}),
            "container/containerd/shop/db");
}

// An image carries labels, too: what it says of itself makes it nobody else.
TEST(ContainerFactsTest, LabelsThatTheNameDoesNotBearOutAreNotBelieved) {
  EXPECT_EQ(DockerName("elegant_austin", {{"com.docker.compose.project", "shop"},
                                          {"com.docker.compose.service", "db"}}),
            "container/docker/image:redis");
  EXPECT_EQ(DockerName("x", {{"com.docker.swarm.service.name", "web"}}), "container/docker/x");
  EXPECT_EQ(DockerName("x", {{"io.kubernetes.pod.namespace", "kube-system"},
                             {"io.kubernetes.pod.name", "coredns"},
                             {"io.kubernetes.container.name", "coredns"}}),
            "container/docker/x");
  EXPECT_EQ(DockerName("x", {{"com.amazonaws.ecs.task-definition-family", "f"},
                             {"com.amazonaws.ecs.container-name", "c"}}),
            "container/docker/x");
}

TEST(ContainerFactsTest, OrchestratorsOfDocker) {
  EXPECT_EQ(DockerName("web.2.q0w1e2r3t4y5", {{"com.docker.swarm.service.name", "web"}}),
            "container/docker/web");
  EXPECT_EQ(
      DockerName("ecs-shop-12-web-d4e5f6", {{"com.amazonaws.ecs.task-definition-family", "shop"},
                                            {"com.amazonaws.ecs.container-name", "web"}}),
      "container/docker/shop/web");
  EXPECT_EQ(DockerName("k8s_nginx_web-0_shop_0d08203e-255a-11e9-8cd9-0007cb0b2cc8_3",
                       {{"io.kubernetes.pod.namespace", "shop"},
                        {"io.kubernetes.pod.name", "web-0"},
                        {"io.kubernetes.container.name", "nginx"}}),
            "kubernetes/shop/web/nginx");
}

TEST(ContainerFactsTest, PodsOfContainerdAndCrio) {
  Json containerd = {{"io.kubernetes.cri.sandbox-name", "web-7d4b9c6f5d-x2x4p"},
                     {"io.kubernetes.cri.sandbox-namespace", "shop"},
                     {"io.kubernetes.cri.container-type", "container"},
                     {"io.kubernetes.cri.container-name", "nginx"}};
  EXPECT_EQ(BundleName(containerd), "kubernetes/shop/web/nginx");
  containerd["io.kubernetes.cri.container-type"] = "sandbox";
  EXPECT_EQ(BundleName(containerd), "kubernetes/shop/web/POD");
  Json crio = {{"io.kubernetes.cri-o.ContainerType", "container"},
               {"io.kubernetes.cri-o.Namespace", "shop"},
               {"io.kubernetes.pod.name", "web-7d4b9c6f5d-x2x4p"},
               {"io.kubernetes.container.name", "nginx"}};
  EXPECT_EQ(BundleName(crio), "kubernetes/shop/web/nginx");
  crio["io.kubernetes.cri-o.ContainerType"] = "sandbox";
  EXPECT_EQ(BundleName(crio), "kubernetes/shop/web/POD");
  crio.erase("io.kubernetes.pod.name");
  crio["io.kubernetes.cri-o.KubeName"] = "db-0";
  EXPECT_EQ(BundleName(crio), "kubernetes/shop/db/POD");
}

// A user writes what he likes into his own files.
TEST(ContainerFactsTest, NoUserTakesTheNameOfAnother) {
  const Json pod = {{"io.kubernetes.cri.sandbox-name", "web-0"},
                    {"io.kubernetes.cri.sandbox-namespace", "shop"},
                    {"io.kubernetes.cri.container-name", "nginx"}};
  EXPECT_EQ(BundleName(pod, 1000), "container/containerd/user:1000/shop/web/nginx");
  ContainerFacts facts;
  facts.runtime = "podman";
  facts.name = "web";
  EXPECT_EQ(LastingName(facts, 1000), "container/podman/user:1000/web");
  EXPECT_EQ(LastingName(facts, 0), "container/podman/web");
  facts.name = "user:1000/web";
  EXPECT_EQ(LastingName(facts, std::nullopt), "container/podman/user%3A1000%2Fweb");
  facts.name = "image:redis";
  EXPECT_EQ(LastingName(facts, std::nullopt), "container/podman/image%3Aredis");
}

TEST(ContainerFactsTest, OwnersOfPods) {
  const std::pair<const char*, const char*> cases[] = {
      {"web-7d4b9c6f5d-x2x4p", "web"},        // Deployment
      {"my-api-597f9c8b46-zz88k", "my-api"},  // Deployment
      {"fluentd-x2x4p", "fluentd"},           // DaemonSet, Job
      {"web-0", "web"},                       // StatefulSet
      {"web-12", "web"},
      {"backup-28391234-x2x4p", "backup"},  // CronJob
      {"kube-apiserver-node", "kube-apiserver-node"},
      {"etcd", "etcd"},
      {"my-frontend-x2x4p", "my-frontend"},
      {"my-queue", "my-queue"},  // Vowels: somebody chose it.
      {"-x2x4p", "-x2x4p"},
      {"-0", "-0"},
      {"", ""}};
  for (const auto& [pod, owner] : cases) {
    EXPECT_EQ(PodOwner(pod), owner) << pod;
  }
}

TEST(ContainerFactsTest, TheListOfContainersStorage) {
  const Json list = {{{"id", "other"}, {"names", {"x"}}},
                     {{"id", kId},
                      {"names", {"web"}},
                      {"metadata", R"({"image-name":"localhost/web:1","name":"web"})"}}};
  const auto facts = ParseStorageList(list.dump(), kId);
  ASSERT_TRUE(facts.ok() && *facts);
  EXPECT_EQ(LastingName(**facts, std::nullopt), "container/podman/web");
  EXPECT_EQ((*facts)->image, "localhost/web:1");
  EXPECT_EQ(*ParseStorageList(list.dump(), "none"), std::nullopt);
  const auto bare = ParseStorageList(Json{{{"id", kId}, {"names", {"web"}}}}.dump(), kId);
  ASSERT_TRUE(bare.ok() && *bare);
  EXPECT_EQ((*bare)->name, "web");
}

TEST(ContainerFactsTest, BytesOfAnyKindGiveAPrintableNameOrAnError) {
  EXPECT_FALSE(ParseDockerConfig("").ok());
  EXPECT_FALSE(ParseDockerConfig("{\"Name\":\"\xff\"}").ok());
  EXPECT_FALSE(ParseDockerConfig("[]").ok());
  EXPECT_FALSE(ParseStorageList("{}", kId).ok());
  EXPECT_FALSE(ParseBundleConfig("{", kId).ok());
  EXPECT_EQ(*ParseBundleConfig("[1]", kId), std::nullopt);
  EXPECT_EQ(*ParseBundleConfig(R"({"annotations":{"nerdctl/name":7}})", kId), std::nullopt);
  EXPECT_EQ(*ParseStorageList(R"([1,{"id":7},{"id":null}])", kId), std::nullopt);
  EXPECT_EQ(DockerName("a\nb \x1b[31m/\xc3\xa9", {}), "container/docker/a%0Ab%20%1B[31m%2F%C3%A9");
  const std::string deep(500'000, '[');
  EXPECT_FALSE(ParseBundleConfig(deep, kId).ok());
  EXPECT_EQ(*ParseBundleConfig(deep + std::string(500'000, ']'), kId), std::nullopt);
}

}  // namespace
}  // namespace vedette

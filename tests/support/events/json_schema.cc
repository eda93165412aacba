// SPDX-License-Identifier: Apache-2.0
#include "tests/support/events/json_schema.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

namespace vedette {
namespace {

using Json = nlohmann::json;
using Errors = std::vector<std::string>;

bool HasType(const Json& value, const std::string& type) {
  return type == "object"    ? value.is_object()
         : type == "array"   ? value.is_array()
         : type == "string"  ? value.is_string()
         : type == "integer" ? value.is_number_integer()
         : type == "number"  ? value.is_number()
                             : false;
}

void Check(const Json& value, const Json& schema, const std::string& at, Errors* errors);

void CheckObject(const Json& value, const Json& schema, const std::string& at, Errors* errors) {
  for (const Json& name : schema.value("required", Json::array())) {
    if (!value.contains(name.get<std::string>())) {
      errors->push_back(at + "/" + name.get<std::string>() + " is required");
    }
  }
  const Json properties = schema.value("properties", Json::object());
  const Json others = schema.value("additionalProperties", Json(true));
  for (const auto& [name, field] : value.items()) {
    if (properties.contains(name)) {
      Check(field, properties[name], at + "/" + name, errors);
    } else if (others.is_object()) {
      Check(field, others, at + "/" + name, errors);
    } else if (others == false) {
      errors->push_back(at + "/" + name + " is not a property of the schema");
    }
  }
}

void CheckKeywords(const Json& schema, const std::string& at, Errors* errors) {
  static const std::set<std::string> known = {
      "$schema",    "$id",  "title", "description",          "type",    "required",
      "properties", "enum", "items", "additionalProperties", "minimum", "minLength"};
  for (const auto& [keyword, unused] : schema.items()) {
    if (!known.count(keyword)) {
      errors->push_back(at + " uses the keyword " + keyword + ", which is not checked");
    }
  }
}

void Check(const Json& value, const Json& schema, const std::string& at, Errors* errors) {
  CheckKeywords(schema, at, errors);
  if (schema.contains("type") && !HasType(value, schema["type"])) {
    errors->push_back(at + " is not of type " + schema["type"].get<std::string>());
    return;
  }
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end()) {
    errors->push_back(at + " is not one of " + schema["enum"].dump());
  }
  if (schema.contains("minimum") && value < schema["minimum"]) {
    errors->push_back(at + " is below its minimum");
  }
  if (value.is_string() && value.get<std::string>().size() < schema.value("minLength", size_t{0})) {
    errors->push_back(at + " is too short");
  }
  if (value.is_object()) {
    CheckObject(value, schema, at, errors);
  }
  if (value.is_array() && schema.contains("items")) {
    for (size_t i = 0; i < value.size(); ++i) {
      Check(value[i], schema["items"], at + "/" + std::to_string(i), errors);
    }
  }
}

}  // namespace

std::vector<std::string> JsonSchemaErrors(std::string_view json, const std::string& schema_path) {
  std::ifstream file(VEDETTE_SOURCE_DIR "/" + schema_path);
  const Json schema = Json::parse(file, nullptr, false);
  const Json value = Json::parse(json, nullptr, false);
  if (!schema.is_object()) {
    return {schema_path + " is not a JSON object"};
  }
  if (value.is_discarded()) {
    return {"not JSON"};
  }
  Errors errors;
  Check(value, schema, "", &errors);
  return errors;
}

}  // namespace vedette

"""The vendors' official SDKs against the twin.

If Auth0's and Microsoft's own libraries can sign in, read, write and parse what comes back, the twin's wire is the
vendors' wire as far as it goes. Every route that the twin plays for Auth0, Entra and Graph is driven by an SDK method; at
the end the twin must have no complaint, and no route may be left out.

Both SDKs insist on https for real hosts. Auth0's client takes a base URL and its token client a protocol; Microsoft's
request adapter takes a base URL and allows http on loopback; azure-identity is given a transport that carries requests for
the public login host to the twin.
"""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import threading
import traceback
import urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from auth0.authentication import GetToken
from auth0.management.client import Auth0
from auth0.management.core.api_error import ApiError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential
from azure.core.exceptions import ClientAuthenticationError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.directory_objects.get_by_ids.get_by_ids_post_request_body import GetByIdsPostRequestBody
from msgraph.generated.groups.delta.delta_request_builder import DeltaRequestBuilder as GroupsDelta
from msgraph.generated.identity_protection.risky_users.risky_users_request_builder import (
    RiskyUsersRequestBuilder,
)
from msgraph.generated.models.group import Group
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.subscription import Subscription
from msgraph.generated.users.delta.delta_request_builder import DeltaRequestBuilder as UsersDelta
from msgraph.generated.users.item.check_member_groups.check_member_groups_post_request_body import (
    CheckMemberGroupsPostRequestBody,
)
from msgraph.generated.users.item.get_member_groups.get_member_groups_post_request_body import (
    GetMemberGroupsPostRequestBody,
)
from msgraph.generated.users.item.transitive_member_of.graph_group.graph_group_request_builder import (
    GraphGroupRequestBuilder,
)
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

# Routes of the API description for which Auth0's SDK has no method.
NOT_DRIVEN = {
    "GET /api/v2/users/{id}/federated-connections-tokensets",
    "DELETE /api/v2/users/{id}/federated-connections-tokensets/{tokenset_id}",
}


class Twin:
    """A twin program of our own: started, arranged through its control plane, stopped."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program, "--port-base", "0", "--deletion-delay-ms", "0", "--unlimited"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.env = {}
        for line in self.process.stdout:
            if line.startswith("# control plane: "):
                self.control = line.removeprefix("# control plane: ").strip()
                break
            name, _, value = line.strip().partition("=")
            self.env[name] = value

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)

    def show(self, page):
        with urllib.request.urlopen(f"{self.control}/{page}", timeout=10) as answer:
            return json.load(answer)

    def do(self, verb, **arguments):
        request = urllib.request.Request(
            f"{self.control}/{verb}", data=json.dumps(arguments).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def hire(self, name):
        """A person with an enterprise and a database account, both signed in."""
        hired = self.do("hire", name=name)
        database = self.do("add-database-account", person=hired["person"])["account"]
        enterprise = hired["accounts"][0]
        left = {account: self.do("sign-in", account=account) for account in (enterprise, database)}
        return hired["person"], enterprise, database, left


def auth0_client(twin):
    url = twin.env["AUTH0_URL"]
    tokens = GetToken(
        url.removeprefix("http://"),
        twin.env["AUTH0_CLIENT_ID"],
        client_secret=twin.env["AUTH0_CLIENT_SECRET"],
        protocol="http",
    )
    token = tokens.client_credentials(f"https://{twin.env['AUTH0_DOMAIN']}/api/v2/")
    assert token["token_type"] == "Bearer" and token["expires_in"] == 86400, token
    # No retries: a test wants to see the first answer.
    return Auth0(base_url=f"{url}/api/v2", token=token["access_token"], max_retries=0)


class ToTheTwin(RequestsTransport):
    """Carries requests for the public login host to the twin."""

    def __init__(self, login_url):
        super().__init__()
        self.login_url = login_url

    def send(self, request, **kwargs):
        request.url = request.url.replace("https://login.microsoftonline.com", self.login_url)
        return super().send(request, **kwargs)


def credential(twin, secret=None):
    return ClientSecretCredential(
        twin.env["ENTRA_TENANT_ID"],
        twin.env["ENTRA_CLIENT_ID"],
        secret or twin.env["ENTRA_CLIENT_SECRET"],
        authority="login.microsoftonline.com",
        disable_instance_discovery=True,
        transport=ToTheTwin(twin.env["ENTRA_LOGIN_URL"]),
    )


def graph_client(twin):
    provider = AzureIdentityAuthenticationProvider(
        credential(twin), scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["127.0.0.1"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{twin.env['ENTRA_GRAPH_URL']}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def test_auth0_users_are_found_read_blocked_and_deleted(twin):
    api = auth0_client(twin)
    person, enterprise, database, _ = twin.hire("Sdk Users")
    query = f'identities.user_id:"{person}" OR app_metadata.external_id:"{person}"'
    found = {user.user_id for user in api.users.list(q=query, search_engine="v3")}
    assert found == {enterprise, database}, found
    assert [user.user_id for user in api.users.list_users_by_email(email="sdk.users@contoso.example")]
    user = api.users.get(enterprise)
    assert user.identities[0].provider == "waad" and user.name == "Sdk Users", user
    stamp = {"lockstep": {"case": "case_1"}}
    blocked = api.users.update(enterprise, blocked=True, app_metadata=stamp)
    assert blocked.blocked is True and blocked.app_metadata["lockstep"]["case"] == "case_1", blocked
    assert api.users.get(enterprise).blocked is True
    made = api.users.create(
        connection="Username-Password-Authentication", email="sdk@example.com", password="long-enough-1"
    )
    api.users.delete(made.user_id)
    try:
        api.users.get(made.user_id)
    except ApiError as error:
        assert error.status_code == 404, error
        return
    raise AssertionError("a deleted user was found")


def test_auth0_access_is_listed_and_revoked(twin):
    api = auth0_client(twin)
    _, enterprise, database, left = twin.hire("Sdk Access")
    sessions = list(api.users.sessions.list(enterprise))
    assert [session.id for session in sessions] == [left[enterprise]["session"]], sessions
    tokens = list(api.users.refresh_token.list(enterprise))
    assert [token.id for token in tokens] == [left[enterprise]["refresh_token"]], tokens
    assert api.sessions.get(left[enterprise]["session"]).user_id == enterprise
    assert api.refresh_tokens.get(left[enterprise]["refresh_token"]).user_id == enterprise
    api.users.revoke_access(enterprise)
    assert list(api.users.sessions.list(enterprise)) == []
    assert list(api.users.refresh_token.list(enterprise)) == []
    api.sessions.revoke(left[database]["session"])
    twin.do("sign-in", account=database)
    api.users.sessions.delete(database)
    api.users.refresh_token.delete(database)
    assert list(api.users.sessions.list(database)) == []
    again = twin.do("sign-in", account=database)
    api.sessions.delete(again["session"])
    api.refresh_tokens.delete(again["refresh_token"])
    assert list(api.users.refresh_token.list(database)) == []


def test_auth0_grants_devices_and_apis(twin):
    api = auth0_client(twin)
    _, enterprise, _, left = twin.hire("Sdk Grants")
    grants = list(api.user_grants.list(user_id=enterprise))
    assert [grant.id for grant in grants] == [left[enterprise]["grant"]], grants
    devices = list(api.device_credentials.list(user_id=enterprise, type="rotating_refresh_token"))
    assert [device.id for device in devices] == [left[enterprise]["device_credential"]], devices
    api.device_credentials.delete(devices[0].id)
    api.user_grants.delete_by_user_id(user_id=enterprise)
    assert list(api.user_grants.list(user_id=enterprise)) == []
    servers = {server.identifier: server for server in api.resource_servers.list()}
    orders = servers["https://orders.contoso.example/"]
    assert (orders.token_lifetime, orders.token_lifetime_for_web) == (3600, 1800), orders


def management_client(twin, *scopes):
    """A client whose token carries scopes that Lockstep's own does not have."""
    for scope in scopes:
        twin.do("grant-scope", scope=scope)
    return auth0_client(twin)


def test_auth0_roles_are_made_given_and_taken(twin):
    api = management_client(twin, "create:roles", "update:roles", "delete:roles")
    _, enterprise, database, _ = twin.hire("Sdk Roles")
    role = api.roles.create(name="Sdk Reader", description="Reads")
    assert api.roles.get(role.id).description == "Reads"
    assert api.roles.update(role.id, description="Reads all").description == "Reads all"
    assert [one.id for one in api.roles.list(name_filter="sdk reader")] == [role.id]
    api.users.roles.assign(enterprise, roles=[role.id])
    assert [one.name for one in api.users.roles.list(enterprise)] == ["Sdk Reader"]
    api.roles.users.assign(role.id, users=[database])
    assert {user.user_id for user in api.roles.users.list(role.id, take=1)} == {enterprise, database}
    api.users.roles.delete(enterprise, roles=[role.id])
    api.users.roles.delete(enterprise, roles=[role.id])
    assert list(api.users.roles.list(enterprise)) == []
    api.roles.delete(role.id)
    try:
        api.roles.get(role.id)
    except ApiError as error:
        assert error.status_code == 404, error
        return
    raise AssertionError("a deleted role was found")


def test_auth0_organizations_have_members_with_roles(twin):
    api = auth0_client(twin)
    _, enterprise, *_ = twin.hire("Sdk Organizations")
    role = twin.do("create-role", name="Sdk Member")["role"]
    organization = twin.do("create-organization", name="sdk-acme")["organization"]
    twin.do("enable-connection", organization="sdk-acme", connection=twin.env["AUTH0_CONNECTION"])
    assert api.organizations.get(organization).name == "sdk-acme"
    assert api.organizations.get_by_name("sdk-acme").id == organization
    assert organization in [one.id for one in api.organizations.list()]
    members = api.organizations.members
    members.create(organization, members=[enterprise])
    members.roles.assign(organization, enterprise, roles=[role])
    assert [one.id for one in members.roles.list(organization, enterprise)] == [role]
    assert [one.user_id for one in members.list(organization)] == [enterprise]
    assert [one.id for one in api.users.organizations.list(enterprise)] == [organization]
    enabled = list(api.organizations.enabled_connections.list(organization))
    assert [one.connection.strategy for one in enabled] == ["waad"], enabled
    members.roles.delete(organization, enterprise, roles=[role])
    members.delete(organization, members=[enterprise])
    assert list(members.list(organization)) == []


def test_auth0_users_are_linked_and_unlinked(twin):
    api = auth0_client(twin)
    _, enterprise, database, _ = twin.hire("Sdk Links")
    own = database.split("|")[1]
    linked = api.users.identities.link(enterprise, provider="auth0", user_id=own)
    assert [identity.provider for identity in linked] == ["waad", "auth0"], linked
    left = api.users.identities.delete(enterprise, "auth0", own)
    assert [identity.provider for identity in left] == ["waad"], left
    assert api.users.get(database).user_id == database


def test_auth0_connections_and_their_scim(twin):
    api = management_client(twin, "read:scim_token", "delete:scim_token", "delete:scim_config")
    connection = next(iter(api.connections.list(name=[twin.env["AUTH0_CONNECTION"]])))
    read = api.connections.get(connection.id)
    assert read.strategy == "waad", read
    scim = api.connections.scim_configuration
    before = scim.get(connection.id)
    assert before.user_id_attribute == "externalId", before
    assert len(scim.get_default_mapping(connection.id).mapping) == len(before.mapping)
    assert [one.connection_id for one in scim.list()] == [connection.id]
    scim.update(connection.id, user_id_attribute="externalId", mapping=before.mapping)
    made = scim.tokens.create(connection.id, scopes=["get:users"], token_lifetime=900)
    assert made.token.startswith(made.token_id), made
    assert made.token_id in [token.token_id for token in scim.tokens.get(connection.id)]
    scim.tokens.delete(connection.id, made.token_id)
    scim.delete(connection.id)
    assert scim.create(connection.id).user_id_attribute == "externalId"
    api.connections.update(connection.id, show_as_button=True)


def test_auth0_tickets_and_mails(twin):
    api = auth0_client(twin)
    _, enterprise, database, _ = twin.hire("Sdk Tickets")
    assert "reset-password" in api.tickets.change_password(user_id=database, ttl_sec=3600).ticket
    assert "email-verification" in api.tickets.verify_email(user_id=database).ticket
    ticket = api.guardian.enrollments.create_ticket(user_id=enterprise, send_mail=True)
    assert ticket.ticket_id in ticket.ticket_url, ticket
    assert api.jobs.verification_email.create(user_id=database).type == "verification_email"


def test_graph_users_are_read_with_select_and_manager(twin):
    person, *_ = twin.hire("Sdk Graph")

    async def drive():
        graph = graph_client(twin)
        user = await graph.users.by_user_id(person).get()
        assert user.display_name == "Sdk Graph" and user.account_enabled is None, user
        wanted = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(
            select=["id", "accountEnabled", "displayName", "userPrincipalName"],
            expand=["manager($select=id,displayName)"],
        )
        twin.do("disable", person=person)
        user = await graph.users.by_user_id(person).get(
            request_configuration=RequestConfiguration(query_parameters=wanted)
        )
        assert user.account_enabled is False, user
        revoked = await graph.users.by_user_id(person).revoke_sign_in_sessions.post()
        assert revoked.value is True, revoked
        organizations = await graph.organization.get()
        assert organizations.value[0].id == twin.env["ENTRA_TENANT_ID"], organizations

    asyncio.run(drive())


def test_graph_shows_when_our_client_secret_ends(twin):
    twin.do("grant-graph-permission", permission="Application.Read.All")

    async def drive():
        client_id = twin.env["ENTRA_CLIENT_ID"]
        wanted = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
            filter=f"appId eq '{client_id}'", select=["id", "appId", "passwordCredentials"]
        )
        found = await graph_client(twin).applications.get(
            request_configuration=RequestConfiguration(query_parameters=wanted)
        )
        (application,) = found.value
        (secret,) = application.password_credentials
        assert application.app_id == client_id and secret.secret_text is None, application
        assert twin.env["ENTRA_CLIENT_SECRET"].startswith(secret.hint), secret
        assert secret.end_date_time.tzinfo is not None, secret

    asyncio.run(drive())


def test_graph_risk_and_deleted_people(twin):
    person, *_ = twin.hire("Sdk Risk")

    async def drive():
        graph = graph_client(twin)
        twin.do("raise-risk", person=person, level="high", detection="leakedCredentials")
        risky = await graph.identity_protection.risky_users.by_risky_user_id(person).get()
        assert (risky.risk_level.value, risky.risk_state.value) == ("high", "atRisk"), risky
        wanted = RiskyUsersRequestBuilder.RiskyUsersRequestBuilderGetQueryParameters(
            filter="riskState eq 'atRisk'", top=10
        )
        page = await graph.identity_protection.risky_users.get(
            request_configuration=RequestConfiguration(query_parameters=wanted)
        )
        assert [user.id for user in page.value] == [person], page
        twin.do("soft-delete", person=person)
        try:
            await graph.users.by_user_id(person).get()
            raise AssertionError("a deleted user was found")
        except ODataError as error:
            assert error.error.code == "Request_ResourceNotFound", error
        deleted = await graph.directory.deleted_items.by_directory_object_id(person).get()
        assert deleted.id == person and deleted.display_name == "Sdk Risk", deleted
        listed = await graph.directory.deleted_items.graph_user.get()
        assert [user.id for user in listed.value] == [person], listed

    asyncio.run(drive())


def test_graph_groups_and_memberships(twin):
    person, *_ = twin.hire("Sdk Member")
    inner = twin.do("create-group", name="Sdk Inner")["group"]
    outer = twin.do("create-group", name="Sdk Outer")["group"]
    twin.do("add-member", group=inner, person=person)
    twin.do("add-member", group=outer, member=inner)

    def advanced():
        """A cast needs $count and the header; the parameters of all casts look alike."""
        wanted = GraphGroupRequestBuilder.GraphGroupRequestBuilderGetQueryParameters(count=True)
        configuration = RequestConfiguration(query_parameters=wanted)
        configuration.headers.add("ConsistencyLevel", "eventual")
        return configuration

    async def drive():
        graph = graph_client(twin)
        user = graph.users.by_user_id(person)
        direct = await user.member_of.get()
        assert [(item.id, type(item)) for item in direct.value] == [(inner, Group)], direct
        assert (await user.member_of.graph_group.get(advanced())).odata_count == 1
        both = {group.display_name for group in (await user.transitive_member_of.get()).value}
        assert both == {"Sdk Inner", "Sdk Outer"}, both
        cast = await user.transitive_member_of.graph_group.get(advanced())
        assert {group.id for group in cast.value} == {inner, outer}, cast
        checked = await user.check_member_groups.post(CheckMemberGroupsPostRequestBody(group_ids=[outer]))
        assert checked.value == [outer], checked
        asked = await user.get_member_groups.post(GetMemberGroupsPostRequestBody(security_enabled_only=True))
        assert set(asked.value) == {inner, outer}, asked
        group = graph.groups.by_group_id(outer)
        assert (await group.get()).display_name == "Sdk Outer"
        assert {inner, outer} <= {group.id for group in (await graph.groups.get()).value}
        assert [member.id for member in (await group.members.get()).value] == [inner]
        assert (await group.members.graph_user.get(advanced())).value == []
        assert {member.id for member in (await group.transitive_members.get()).value} == {inner, person}
        people = await group.transitive_members.graph_user.get(advanced())
        assert [member.id for member in people.value] == [person], people
        assert [g.id for g in (await graph.groups.by_group_id(inner).member_of.get()).value] == [outer]
        above = await graph.groups.by_group_id(inner).transitive_member_of.get()
        assert [group.id for group in above.value] == [outer], above
        assert person in {user.id for user in (await graph.users.get()).value}
        body = GetByIdsPostRequestBody(ids=[person, inner], types=["user", "group"])
        found = await graph.directory_objects.get_by_ids.post(body)
        assert {item.id for item in found.value} == {person, inner}, found
        twin.do("soft-delete-group", group=outer)
        deleted = await graph.directory.deleted_items.graph_group.get()
        assert [group.id for group in deleted.value] == [outer], deleted

    asyncio.run(drive())


def test_graph_delta_and_batch(twin):
    person, *_ = twin.hire("Sdk Delta")
    group = twin.do("create-group", name="Sdk Changing")["group"]

    async def whole_round(builder, page):
        rows = list(page.value)
        while page.odata_next_link:
            page = await builder.with_url(page.odata_next_link).get()
            rows += page.value
        return rows, page.odata_delta_link

    async def drive():
        graph = graph_client(twin)
        select = UsersDelta.DeltaRequestBuilderGetQueryParameters(select=["id", "department"])
        page = await graph.users.delta.get(RequestConfiguration(query_parameters=select))
        rows, link = await whole_round(graph.users.delta, page)
        assert person in {user.id for user in rows}, rows
        twin.do("move", person=person, department="Retail", job_title="Manager")
        page = await graph.users.delta.with_url(link).get()
        assert [(user.id, user.department) for user in page.value] == [(person, "Retail")], page
        twin.do("soft-delete", person=person)
        rows, _ = await whole_round(graph.users.delta, await graph.users.delta.with_url(link).get())
        assert rows[0].additional_data["@removed"]["reason"] == "changed", rows
        twin.do("restore", person=person)
        select = GroupsDelta.DeltaRequestBuilderGetQueryParameters(select=["id", "displayName", "members"])
        page = await graph.groups.delta.get(RequestConfiguration(query_parameters=select))
        _, link = await whole_round(graph.groups.delta, page)
        twin.do("add-member", group=group, person=person)
        page = await graph.groups.delta.with_url(link).get()
        members = page.value[0].additional_data["members@delta"]
        assert [str(member["id"]) for member in members] == [person], members
        content = BatchRequestContent({})
        for builder in (graph.users.by_user_id(person), graph.groups.by_group_id(group)):
            request = builder.to_get_request_information()
            request.path_parameters["baseurl"] = graph.request_adapter.base_url
            item = BatchRequestItem(request)
            # Inside of a batch addresses are relative to the version.
            item.url = request.url.removeprefix(graph.request_adapter.base_url)
            content.add_request(item.id, item)
        answer = await BatchRequestBuilder(graph.request_adapter).post(content)
        assert [item.status for item in answer.responses.values()] == [200, 200], answer.responses

    asyncio.run(drive())


class Listener(BaseHTTPRequestHandler):
    """Where Graph notifies: echoes the validation token as text, accepts everything else."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = parse_qs(urlsplit(self.path).query).get("validationToken")
        self.send_response(200 if token else 202)
        self.send_header("Content-Type", "text/plain")
        body = (token[0] if token else "").encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_graph_subscriptions_are_made_renewed_and_deleted(twin):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/webhooks/graph"

    def until(days):
        return datetime.now(timezone.utc) + timedelta(days=days)

    async def drive():
        graph = graph_client(twin)
        made = {}
        for resource in ("users", "groups"):
            wanted = Subscription(
                change_type="updated,deleted",
                notification_url=url,
                lifecycle_notification_url=url,
                resource=resource,
                expiration_date_time=until(2),
                client_state="the-client-state-of-this-test-0001",
            )
            made[resource] = (await graph.subscriptions.post(wanted)).id
        listed = {one.id: one.resource for one in (await graph.subscriptions.get()).value}
        assert listed == {made["users"]: "users", made["groups"]: "groups"}, listed
        users = graph.subscriptions.by_subscription_id(made["users"])
        renewed = await users.patch(Subscription(expiration_date_time=until(7)))
        assert renewed.expiration_date_time > until(6), renewed
        shown = await users.get()
        assert (shown.resource, shown.notification_url) == ("users", url), shown
        # Never both for one subscription within ten minutes: the twin would complain.
        groups = graph.subscriptions.by_subscription_id(made["groups"])
        await groups.reauthorize.post()
        await users.delete()
        await groups.delete()
        assert (await graph.subscriptions.get()).value == []

    try:
        asyncio.run(drive())
    finally:
        server.shutdown()


def test_a_wrong_secret_is_told_by_its_number(twin):
    try:
        credential(twin, secret="wrong").get_token("https://graph.microsoft.com/.default")
    except ClientAuthenticationError as error:
        assert "AADSTS7000215" in str(error), error
        return
    raise AssertionError("a wrong secret was accepted")


def test_no_route_was_left_out_and_nothing_was_odd(twin):
    """Stands last: looks at what all tests before it have asked."""
    driven = {entry["route"] for entry in twin.show("journal?last=100000")}
    routes = set(twin.show("routes"))
    left_out = {route for route in routes if "/api/v2/" in route or "/v1.0/" in route}
    left_out -= driven | NOT_DRIVEN
    assert left_out == set(), left_out
    assert twin.show("complaints") == [], twin.show("complaints")


def main(program):
    # azure-identity logs the refusal that a test asks for.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    # A test run that is stopped takes its twin along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    twin = Twin(program)
    failed = 0
    try:
        for name, test in tests:
            try:
                test(twin)
                print(f"ok      {name}")
            except Exception:
                failed += 1
                print(f"FAILED  {name}")
                traceback.print_exc()
    finally:
        twin.stop()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

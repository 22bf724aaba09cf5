"""The parts of an audit: who has which records, the attacks, their controls, what came out."""

from sfumato.privacy.audits.plan import AuditPlan as AuditPlan
from sfumato.privacy.audits.plan import Budget as Budget

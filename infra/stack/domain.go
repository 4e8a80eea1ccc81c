package stack

import (
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
)

// Domain is a name of your own for the API, so that the URL at Stripe survives a move of the
// stage. The zero value is none.
type Domain struct {
	Name        string `json:"name"`
	Certificate string `json:"certificate"`
	Zone        string `json:"zone,omitzero"`
}

func (d Domain) valid() bool {
	return regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$`).MatchString(d.Name) && len(d.Name) <= 253 &&
		regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$`).MatchString(d.Certificate) &&
		regexp.MustCompile(`^(Z[A-Z0-9]{1,31})?$`).MatchString(d.Zone)
}

// addDomain maps the whole domain to the API. The API's own URL stays too: until the endpoint at
// Stripe names the domain, deliveries come by it.
func (p *parts) addDomain(stage awsapigatewayv2.CfnStage) {
	if p.Domain == (Domain{}) {
		return
	}
	p.domain = awsapigatewayv2.NewCfnDomainName(p.stack, str("Domain"), &awsapigatewayv2.CfnDomainNameProps{
		DomainName: str(p.Domain.Name),
		DomainNameConfigurations: []any{&awsapigatewayv2.CfnDomainName_DomainNameConfigurationProperty{
			CertificateArn: str(p.Domain.Certificate), EndpointType: str("REGIONAL"), SecurityPolicy: str("TLS_1_2"),
		}},
	})
	awsapigatewayv2.NewCfnApiMapping(p.stack, str("DomainMapping"), &awsapigatewayv2.CfnApiMappingProps{
		ApiId: p.api.Ref(), DomainName: p.domain.Ref(), Stage: stage.Ref(),
	})
	if p.Domain.Zone == "" {
		return
	}
	awsroute53.NewCfnRecordSet(p.stack, str("DomainRecord"), &awsroute53.CfnRecordSetProps{
		HostedZoneId: str(p.Domain.Zone), Name: p.domain.Ref(), Type: str("A"),
		AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
			DnsName: p.domain.AttrRegionalDomainName(), HostedZoneId: p.domain.AttrRegionalHostedZoneId(),
		},
	})
}
